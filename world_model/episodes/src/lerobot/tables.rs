//! Parquet files, written atomically and read in slices of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mindseye_interface::memory::product;
use mindseye_interface::text::{printable, printable_path};
use mindseye_interface::{MemoryLimit, files, inputs};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::pages::unpacked_sizes;
use crate::guard::guarded;
use crate::{Error, Result};

/// Largest image that is written in pages of a thousand rows, bytes: a page has at most 2 GiB.
const LARGE_IMAGE: usize = 1 << 20;

/// Most values of a list column in a row, on average.
const MAX_VALUES_PER_ROW: u64 = 1 << 16;
/// Memory for a value of a column that is read whole: itself, and what stands for it in a list or a text.
const BYTES_PER_VALUE: u128 = 24;
/// Memory for a byte of such a column: in its page and as it is kept.
const BYTES_PER_BYTE: u128 = 2;

/// Writes `groups` to `path` atomically, one row group each, of one or several batches. `opaque` columns
/// (compressed images) get no dictionary and no statistics.
///
/// # Errors
/// [`Error::File`] when the tables cannot be encoded or written.
pub(crate) fn write_table(
    path: &Path,
    schema: SchemaRef,
    groups: &[Vec<RecordBatch>],
    opaque: &[String],
    largest_value: usize,
) -> Result<()> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("mindseye".into())
        .set_max_row_group_row_count(None);
    if largest_value > LARGE_IMAGE {
        properties = properties.set_write_batch_size(16);
    }
    for column in opaque {
        let column = ColumnPath::from(vec![column.clone(), "bytes".into()]);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    let encode = || -> parquet::errors::Result<Vec<u8>> {
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build()))?;
        for group in groups {
            group.iter().try_for_each(|batch| writer.write(batch))?;
            writer.flush()?;
        }
        writer.into_inner()
    };
    let bytes = encode().map_err(|error| Error::file(path, "encoding", error))?;
    files::write_whole(path, &bytes).map_err(|error| Error::file(path, "writing", error))
}

/// Sizes of unpacked pages by row group and column.
type PageSizes = BTreeMap<(usize, usize), Arc<[u64]>>;

/// A Parquet file whose footer has been read.
#[derive(Debug)]
pub(crate) struct TableFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    /// Sizes of the unpacked pages by row group and column, of those that have been read; see [`unpacked_sizes`].
    pages: Mutex<PageSizes>,
    /// Row groups and columns of lists that have been read whole; see [`TableFile::require_lists`].
    checked_lists: Mutex<BTreeSet<(usize, String)>>,
}

impl TableFile {
    /// Opens the file and reads its footer.
    pub fn open(path: &Path) -> Result<Self> {
        const FOOTER: &str = "reading the Parquet footer";
        let file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?;
        let metadata = guarded(path, FOOTER, || {
            let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())
                .map_err(|error| Error::file(path, FOOTER, error))?;
            Ok(with_views(metadata))
        })?;
        Ok(Self { path: path.to_path_buf(), file, metadata, pages: Mutex::default(), checked_lists: Mutex::default() })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows according to the footer.
    pub fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows().try_into().unwrap_or(0)
    }

    /// The number of rows, each of which takes `row_bytes` in memory, after holding that against the memory there is:
    /// columns of equal values promise any number of rows in a few bytes.
    ///
    /// # Errors
    /// [`Error::Interface`] that names the file.
    pub fn rows_in_memory(&self, row_bytes: usize) -> Result<usize> {
        let field = format!("{}: {} rows", printable_path(&self.path), self.rows());
        MemoryLimit::of_this_machine().require(&field, product(&[self.rows(), row_bytes]))?;
        Ok(self.rows())
    }

    /// Holds what `columns` unpack to, by the footer, against the memory there is.
    ///
    /// # Errors
    /// [`Error::Interface`] that names the file and the column; [`Error::Content`] for lists of an absurd length, which
    /// would take long as well.
    fn require_memory(&self, columns: &[&str]) -> Result<()> {
        for name in columns {
            let (mut values, mut bytes) = (0_u64, 0_u64);
            for column in self.metadata.metadata().row_groups().iter().flat_map(|group| group.columns()) {
                if column.column_path().parts().first().is_some_and(|root| root == name) {
                    values = values.saturating_add(column.num_values().try_into().unwrap_or(0));
                    bytes = bytes.saturating_add(column.uncompressed_size().try_into().unwrap_or(0));
                }
            }
            if values / MAX_VALUES_PER_ROW > self.rows() as u64 {
                let expected = format!("at most {MAX_VALUES_PER_ROW} values in a row");
                return Err(Error::content(&self.path, *name, expected, format!("{values} in {} rows", self.rows())));
            }
            let field = format!("{}: {}", printable_path(&self.path), printable(name));
            let asked = u128::from(bytes) * BYTES_PER_BYTE + u128::from(values) * BYTES_PER_VALUE;
            MemoryLimit::of_this_machine().require(&field, asked)?;
        }
        Ok(())
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
        const ROWS_AT_ONCE: usize = 1 << 16; // a broken footer may state any number of rows
        self.require_memory(columns)?;
        let mut batches = Vec::new();
        // A page is dropped when its values are out; a dictionary stays.
        self.require_pages(columns, &(start..start.saturating_add(length)), 2, 1)?;
        let schema =
            self.stream(&self.file, columns, start..start.saturating_add(length), ROWS_AT_ONCE, &mut |rows| {
                batches.push(rows.batch);
                Ok(())
            })?;
        let batch = concat_batches(&schema, &batches).map_err(|error| Error::file(&self.path, READING, error))?;
        Ok(Rows { path: Arc::from(self.path.as_path()), batch })
    }

    /// Reads rows `range` of `columns` and passes them to `visit`, at most `rows_at_once` at a time. Other threads may
    /// read the same table meanwhile.
    ///
    /// # Errors
    /// As [`TableFile::read`], and the error of `visit`.
    pub fn read_parts(
        &self,
        columns: &[&str],
        range: Range<usize>,
        rows_at_once: usize,
        visit: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<()> {
        // The images are views of their pages.
        self.require_pages(columns, &range, rows_at_once + 1, rayon::current_num_threads())?;
        // Copies of an open file share one position.
        let file = inputs::open(&self.path, u64::MAX).map_err(|error| Error::file(&self.path, "opening", error))?;
        self.stream(&file, columns, range, rows_at_once, visit).map(drop)
    }

    /// Holds the memory that `held` pages of each of `columns` take, unpacked, against the memory there is, when
    /// `readers` read rows `range` at once.
    fn require_pages(&self, columns: &[&str], range: &Range<usize>, held: usize, readers: usize) -> Result<()> {
        let mut needed = BTreeMap::<usize, Vec<u64>>::new();
        for number in self.groups(range).0 {
            let group = self.metadata.metadata().row_group(number);
            for column in 0..group.num_columns() {
                let name = &group.schema_descr().get_column_root(column).name();
                if columns.contains(name) {
                    let sizes = self.page_sizes(number, column)?;
                    needed.entry(column).or_default().extend(sizes.iter().take(held));
                }
            }
        }
        let column_bytes = |sizes: &mut Vec<u64>| {
            sizes.sort_unstable_by(|one, other| other.cmp(one));
            sizes.iter().take(held).map(|size| u128::from(*size)).sum::<u128>()
        };
        let bytes: u128 = needed.values_mut().map(column_bytes).sum();
        let field = format!("{}: pages of {}", printable_path(&self.path), columns.join(", "));
        Ok(MemoryLimit::of_this_machine().require(&field, bytes * readers as u128)?)
    }

    /// The row groups of which rows `range` are, and the first row of the first of them.
    fn groups(&self, range: &Range<usize>) -> (Vec<usize>, usize) {
        let (mut groups, mut first_row, mut next_row) = (Vec::new(), range.start, 0usize);
        for (number, group) in self.metadata.metadata().row_groups().iter().enumerate() {
            let rows = next_row..next_row.saturating_add(usize::try_from(group.num_rows()).unwrap_or(0));
            next_row = rows.end;
            if rows.end > range.start && rows.start < range.end {
                first_row = first_row.min(rows.start);
                groups.push(number);
            }
        }
        (groups, first_row)
    }

    /// Sizes of the unpacked pages of a column of a row group, largest first.
    fn page_sizes(&self, group: usize, column: usize) -> Result<Arc<[u64]>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sizes) = pages.get(&(group, column)) {
            return Ok(sizes.clone());
        }
        let file = inputs::open(&self.path, u64::MAX).map_err(|error| Error::file(&self.path, "opening", error))?;
        let chunk = self.metadata.metadata().row_group(group).column(column);
        let sizes: Arc<[u64]> = guarded(&self.path, READING, || {
            let broken = |got| Error::content(&self.path, chunk.column_path().string(), "whole pages", got);
            unpacked_sizes(&file, chunk).map_err(broken)
        })?
        .into();
        pages.insert((group, column), sizes.clone());
        Ok(sizes)
    }

    fn stream(
        &self,
        file: &File,
        columns: &[&str],
        range: Range<usize>,
        rows_at_once: usize,
        visit: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<SchemaRef> {
        let schema = self.metadata.schema();
        let mut roots = Vec::with_capacity(columns.len());
        for name in columns {
            let found = schema.column_with_name(name);
            let missing = || Error::content(&self.path, *name, "a column", "none");
            roots.push(found.ok_or_else(missing)?.0);
        }
        if range.end > self.rows() {
            return Err(Error::content(&self.path, "rows", format!("at least {} rows", range.end), self.rows()));
        }
        let broken = |error: &dyn std::fmt::Display| Error::file(&self.path, READING, error);
        let (groups, first_row) = self.groups(&range);
        if let Some(group) = groups.first()
            && first_row < range.start
        {
            self.require_lists(file, columns, *group, first_row, range.len().min(rows_at_once))?;
        }
        let path: Arc<Path> = Arc::from(self.path.as_path());
        // Trap, found by random mutation: the library panics on levels that point outside of a page.
        let mut reader = guarded(&self.path, READING, || {
            let file = file.try_clone().map_err(|error| broken(&error))?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            let builder = builder.with_projection(mask).with_batch_size(range.len().clamp(1, rows_at_once));
            let builder = builder.with_row_groups(groups).with_offset(range.start - first_row);
            builder.with_limit(range.len()).build().map_err(|error| broken(&error))
        })?;
        let schema = arrow::array::RecordBatchReader::schema(&reader);
        let mut rows = 0;
        while let Some(batch) =
            guarded(&self.path, READING, || reader.next().transpose().map_err(|error| broken(&error)))?
        {
            rows += batch.num_rows();
            visit(Rows { path: path.clone(), batch })?;
        }
        if rows != range.len() {
            return Err(Error::content(&self.path, "rows", range.len(), rows));
        }
        Ok(schema)
    }

    /// Reads the lists among `columns` in row group `group`, which begins at `first_row`, once and whole, before rows
    /// of it are skipped.
    ///
    /// Trap, found by fuzzing: where a list's levels end before its page does, the library says so when it reads and
    /// goes on for ever when it skips.
    fn require_lists(
        &self,
        file: &File,
        columns: &[&str],
        group: usize,
        first_row: usize,
        rows_at_once: usize,
    ) -> Result<()> {
        let group_of_rows = self.metadata.metadata().row_group(group);
        let is_list = |name: &str| {
            let mut leaves = group_of_rows.columns().iter().map(|column| column.column_descr());
            leaves.any(|leaf| leaf.max_rep_level() > 0 && leaf.path().parts().first().is_some_and(|root| root == name))
        };
        let mut checked = self.checked_lists.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = columns.iter().copied().filter(|name| is_list(name));
        let lists: Vec<&str> = lists.filter(|name| !checked.contains(&(group, (*name).to_owned()))).collect();
        if !lists.is_empty() {
            let rows = usize::try_from(group_of_rows.num_rows()).unwrap_or(0);
            let range = first_row..first_row.saturating_add(rows);
            // From the group's first row on: nothing is skipped.
            self.stream(file, &lists, range, rows_at_once, &mut |_| Ok(()))?;
            checked.extend(lists.into_iter().map(|name| (group, name.to_owned())));
        }
        Ok(())
    }
}

const READING: &str = "reading";

/// The description of a table whose images are read as views of the pages: without a copy per row (a dictionary may
/// give millions of rows the same bytes) and without the 32-bit offsets that end at 2 GiB.
fn with_views(metadata: ArrowReaderMetadata) -> ArrowReaderMetadata {
    let is_bytes = |kind: &DataType| match kind {
        DataType::Binary | DataType::LargeBinary => true,
        DataType::Dictionary(_, kind) => matches!(**kind, DataType::Binary | DataType::LargeBinary),
        _ => false,
    };
    let viewed = |field: &Arc<Field>| match is_bytes(field.data_type()) {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        false => field.clone(),
    };
    let fields = metadata.schema().fields().iter().map(|field| match field.data_type() {
        DataType::Struct(inside) => {
            let inside = inside.iter().map(viewed).collect();
            Arc::new(field.as_ref().clone().with_data_type(DataType::Struct(inside)))
        }
        _ => field.clone(),
    });
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata.schema().metadata().clone()));
    let options = ArrowReaderOptions::new().with_schema(schema);
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).unwrap_or(metadata)
}

/// Some rows of a file, with the file's path for messages. [`super::columns`] extracts their columns.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub path: Arc<Path>,
    pub batch: RecordBatch,
}
