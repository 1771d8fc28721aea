//! `meta/tasks.parquet`: the text of each task number.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;

use super::info::Info;
use super::tables::{TableFile, write_table};
use super::v21;
use crate::{Error, Result};

fn tasks_path(root: &Path) -> PathBuf {
    root.join("meta").join("tasks.parquet")
}

/// Reads the texts in the order of their numbers.
pub(crate) fn read_tasks(root: &Path, info: &Info) -> Result<Vec<String>> {
    if info.is_v21() {
        return v21::read_tasks(root);
    }
    let table = TableFile::open(&tasks_path(root))?;
    // Early v3 files use pandas' name for an unnamed index.
    let text = if table.has("task") { "task" } else { "__index_level_0__" };
    let rows = table.read(&["task_index", text], 0, table.rows_in_memory(256)?)?;
    let mut tasks: Vec<(usize, String)> = rows.counts("task_index")?.into_iter().zip(rows.texts(text)?).collect();
    tasks.sort();
    if let Some((number, (index, _))) = tasks.iter().enumerate().find(|(number, (index, _))| index != number) {
        return Err(Error::content(table.path(), "task_index", number, index));
    }
    Ok(tasks.into_iter().map(|(_, text)| text).collect())
}

/// Writes the texts, numbered from 0. The official reader requires pandas metadata that makes `task` the index.
pub(crate) fn write_tasks(root: &Path, tasks: &[String]) -> Result<()> {
    let path = tasks_path(root);
    let fields = vec![Field::new("task_index", DataType::Int64, true), Field::new("task", DataType::Utf8, true)];
    let schema = Arc::new(Schema::new_with_metadata(fields, HashMap::from([("pandas".into(), pandas_metadata())])));
    let numbers = Int64Array::from_iter_values(0..tasks.len() as i64);
    let texts = StringArray::from_iter_values(tasks);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers), Arc::new(texts)])
        .map_err(|error| Error::file(&path, "encoding", error))?;
    write_table(&path, schema, &[vec![batch]], &[], 0)
}

fn pandas_metadata() -> String {
    let column = |name: &str, pandas_type: &str, numpy_type: &str| {
        json!({
            "name": name,
            "field_name": name,
            "pandas_type": pandas_type,
            "numpy_type": numpy_type,
            "metadata": null,
        })
    };
    let unnamed = json!({
        "name": null,
        "field_name": null,
        "pandas_type": "unicode",
        "numpy_type": "object",
        "metadata": { "encoding": "UTF-8" },
    });
    let metadata = json!({
        "index_columns": ["task"],
        "column_indexes": [unnamed],
        "columns": [column("task_index", "int64", "int64"), column("task", "unicode", "object")],
        "attributes": {},
        "creator": { "library": "mindseye", "version": env!("CARGO_PKG_VERSION") },
        "pandas_version": "2.3.3",
    });
    metadata.to_string()
}
