//! Conversion of Arrow columns to plain vectors, with checks, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, FixedSizeListArray, Float32Array, ListArray, StringArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float32Type, Float64Type, Int64Type};

use super::tables::Rows;
use crate::{Error, Result};

/// The nullable field called `element` of LeRobot's lists.
pub(crate) fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, true))
}

/// Arrow type of images: `struct{bytes, path}`.
pub(crate) fn image_type() -> DataType {
    DataType::Struct(image_fields())
}

fn image_fields() -> Fields {
    let field = |name, data_type| Field::new(name, data_type, true);
    Fields::from(vec![field("bytes", DataType::Binary), field("path", DataType::Utf8)])
}

/// A column of PNG bytes; `names` are the file names that LeRobot gives them.
pub(crate) fn image_column(images: &[Vec<u8>], names: Vec<String>) -> ArrayRef {
    let bytes = BinaryArray::from_iter_values(images);
    let paths = StringArray::from(names);
    Arc::new(StructArray::new(image_fields(), vec![Arc::new(bytes), Arc::new(paths)], None))
}

/// Rows of `width` numbers: a fixed-size list, or a plain column where `width` is 1.
pub(crate) fn vector_column(values: Vec<f32>, width: usize) -> ArrayRef {
    let values = Arc::new(Float32Array::from(values));
    if width == 1 {
        return values;
    }
    Arc::new(FixedSizeListArray::new(element(DataType::Float32), width as i32, values, None))
}

/// Wraps `values` into lists of `length` each.
pub(crate) fn uniform_list(values: ArrayRef, length: usize) -> ArrayRef {
    let lists = values.len().checked_div(length).unwrap_or(0);
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(length, lists));
    Arc::new(ListArray::new(element(values.data_type().clone()), offsets, values, None))
}

impl Rows {
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| self.wrong(name, "a column", "none"))
    }

    fn wrong(&self, field: &str, expected: impl ToString, got: impl ToString) -> Error {
        Error::content(&self.path, field, expected, got)
    }

    fn cast(&self, name: &str, array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
        if array.null_count() > 0 {
            return Err(self.wrong(name, "a value in every row", format!("{} empty", array.null_count())));
        }
        let wrong = || self.wrong(name, data_type, array.data_type());
        let converted = cast(array, data_type).map_err(|_| wrong())?;
        // The cast turns a value that does not fit into null.
        if converted.null_count() > 0 { Err(wrong()) } else { Ok(converted) }
    }

    /// Integers, one per row.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        let array = self.cast(name, self.column(name)?, &DataType::Int64)?;
        Ok(array.as_primitive::<Int64Type>().values().to_vec())
    }

    /// Integers of at least 0, one per row.
    pub fn counts(&self, name: &str) -> Result<Vec<usize>> {
        let integers = self.integers(name)?;
        let unsigned = integers.into_iter().map(|value| {
            usize::try_from(value).map_err(|_| self.wrong(name, "at least 0", value)) //
        });
        unsigned.collect()
    }

    /// `width` numbers per row in any nesting of lists: `[rows, width]`.
    pub fn vectors(&self, name: &str, width: usize) -> Result<Vec<f32>> {
        let values = self.cast(name, &self.leaves(name, width)?, &DataType::Float32)?;
        Ok(values.as_primitive::<Float32Type>().values().to_vec())
    }

    /// [`Rows::vectors`] with double precision.
    pub fn vectors_f64(&self, name: &str, width: usize) -> Result<Vec<f64>> {
        let values = self.cast(name, &self.leaves(name, width)?, &DataType::Float64)?;
        Ok(values.as_primitive::<Float64Type>().values().to_vec())
    }

    /// The innermost values of nested lists, `width` per row.
    fn leaves(&self, name: &str, width: usize) -> Result<ArrayRef> {
        let mut array = Arc::clone(self.column(name)?);
        let mut per_row = 1;
        loop {
            if array.null_count() > 0 {
                return Err(self.wrong(name, "a value in every row", format!("{} empty", array.null_count())));
            }
            let (values, length) = match array.data_type() {
                DataType::FixedSizeList(_, length) => {
                    (Arc::clone(array.as_fixed_size_list().values()), usize::try_from(*length).unwrap_or(0))
                }
                DataType::List(_) | DataType::LargeList(_) => self.list_values(name, &array)?,
                _ => break,
            };
            per_row *= length;
            array = values;
        }
        let rows = self.batch.num_rows();
        if array.len() != rows * width || (rows > 0 && per_row != width) {
            return Err(self.wrong(name, format!("{width} numbers per row"), per_row));
        }
        Ok(array)
    }

    /// Values of a list column whose lists have one length, and that length.
    fn list_values(&self, name: &str, array: &ArrayRef) -> Result<(ArrayRef, usize)> {
        let DataType::List(field) = array.data_type() else {
            let DataType::LargeList(field) = array.data_type() else {
                return Err(self.wrong(name, "a list", array.data_type()));
            };
            let short = cast(array, &DataType::List(Arc::clone(field)));
            return self.list_values(name, &short.map_err(|_| self.wrong(name, "short lists", array.data_type()))?);
        };
        let (list, _) = (array.as_list::<i32>(), field);
        let offsets = list.value_offsets();
        let lengths = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
        let length = lengths.clone().next().unwrap_or(0);
        if let Some(other) = lengths.clone().find(|&other| other != length) {
            return Err(self.wrong(name, format!("{length} numbers in every row"), other));
        }
        let start = offsets.first().copied().unwrap_or(0) as usize;
        Ok((list.values().slice(start, length * list.len()), length))
    }

    /// Texts, one per row.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        let array = self.cast(name, self.column(name)?, &DataType::Utf8)?;
        Ok(array.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_string()).collect())
    }

    /// Lists of texts, one list per row.
    pub fn text_lists(&self, name: &str) -> Result<Vec<Vec<String>>> {
        let array = self.cast(name, self.column(name)?, &DataType::List(element(DataType::Utf8)))?;
        let texts = |list: Option<ArrayRef>| match list {
            Some(list) => list.as_string::<i32>().iter().flatten().map(String::from).collect(),
            None => Vec::new(),
        };
        Ok(array.as_list::<i32>().iter().map(texts).collect())
    }

    /// PNG bytes, one image per row. Rows that share bytes in the file share them in memory.
    pub fn images(&self, name: &str) -> Result<BinaryViewArray> {
        let column = self.column(name)?;
        let wrong = || self.wrong(name, "struct{bytes, path}", column.data_type());
        let bytes = column.as_struct_opt().and_then(|images| images.column_by_name("bytes")).ok_or_else(wrong)?;
        Ok(self.cast(name, bytes, &DataType::BinaryView)?.as_binary_view().clone())
    }
}
