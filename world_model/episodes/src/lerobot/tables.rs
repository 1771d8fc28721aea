//! Parquet files, written atomically and read in slices of rows.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use mindseye_interface::files;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::guard::guarded;
use crate::{Error, Result};

/// Writes `groups` to `path` atomically, one row group each. `opaque` columns (compressed images) get no dictionary and
/// no statistics.
///
/// # Errors
/// [`Error::File`] when the tables cannot be encoded or written.
pub(crate) fn write_table(path: &Path, schema: SchemaRef, groups: &[RecordBatch], opaque: &[String]) -> Result<()> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("mindseye".into())
        .set_max_row_group_row_count(None);
    for column in opaque {
        let column = ColumnPath::from(vec![column.clone(), "bytes".into()]);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    let encode = || -> parquet::errors::Result<Vec<u8>> {
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build()))?;
        for group in groups {
            writer.write(group)?;
            writer.flush()?;
        }
        writer.into_inner()
    };
    let bytes = encode().map_err(|error| Error::file(path, "encoding", error))?;
    files::write_whole(path, &bytes).map_err(|error| Error::file(path, "writing", error))
}

/// A Parquet file whose footer has been read.
#[derive(Debug)]
pub(crate) struct TableFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl TableFile {
    /// Opens the file and reads its footer.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, "opening", error))?;
        const FOOTER: &str = "reading the Parquet footer";
        let metadata = guarded(path, FOOTER, || {
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())
                .map_err(|error| Error::file(path, FOOTER, error))
        })?;
        Ok(Self { path: path.to_path_buf(), file, metadata })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows according to the footer.
    pub fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows().try_into().unwrap_or(0)
    }

    /// Whether there is a column called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.metadata.schema().column_with_name(name).is_some()
    }

    /// Reads rows `start..start + length` of `columns`.
    ///
    /// # Errors
    /// [`Error::Content`] when a column or a row is missing, [`Error::File`] when the file is broken.
    pub fn read(&self, columns: &[&str], start: usize, length: usize) -> Result<Rows> {
        let schema = self.metadata.schema();
        let mut roots = Vec::with_capacity(columns.len());
        for name in columns {
            let found = schema.column_with_name(name);
            let missing = || Error::content(&self.path, *name, "a column", "none");
            roots.push(found.ok_or_else(missing)?.0);
        }
        if start.checked_add(length).is_none_or(|end| end > self.rows()) {
            let expected = format!("at least {} rows", start.saturating_add(length));
            return Err(Error::content(&self.path, "rows", expected, self.rows()));
        }
        let read = || -> std::result::Result<RecordBatch, Box<dyn std::error::Error>> {
            let file = self.file.try_clone()?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            let reader = builder
                .with_projection(mask)
                .with_batch_size(length.clamp(1, 1 << 16)) // a broken footer may state any number of rows
                .with_offset(start)
                .with_limit(length)
                .build()?;
            let schema = arrow::array::RecordBatchReader::schema(&reader);
            let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
            Ok(concat_batches(&schema, &batches)?)
        };
        // Trap, found by random mutation: the library panics on levels that point outside of a page.
        let batch = guarded(&self.path, "reading", || {
            read().map_err(|error| Error::file(&self.path, "reading", error)) //
        })?;
        if batch.num_rows() != length {
            return Err(Error::content(&self.path, "rows", length, batch.num_rows()));
        }
        Ok(Rows { path: Arc::from(self.path.as_path()), batch })
    }
}

/// Some rows of a file, with the file's path for messages. [`super::columns`] extracts their columns.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub path: Arc<Path>,
    pub batch: RecordBatch,
}
