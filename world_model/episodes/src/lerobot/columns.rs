//! Conversion of Arrow columns to plain vectors, with checks, and back.

use std::ops::Range;
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

/// Whether `array` holds nothing but nulls, at some level of its lists.
fn is_empty(array: &ArrayRef) -> bool {
    let inside = |values: ArrayRef| !values.is_empty() && is_empty(&values);
    if !array.is_empty() && array.logical_null_count() == array.len() {
        return true;
    }
    (0..array.len()).all(|row| array.is_null(row) || list_of(array, row).is_some_and(inside)) && !array.is_empty()
}

/// Whether a value is missing in `array`, at any level of its lists.
fn has_null(array: &ArrayRef) -> bool {
    array.logical_null_count() > 0
        || (0..array.len()).any(|row| list_of(array, row).is_some_and(|values| has_null(&values)))
}

/// Whether there is a null at any level, perhaps outside of the rows of a part.
fn may_have_null(array: &ArrayRef) -> bool {
    let inside = match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().values(),
        DataType::List(_) => array.as_list::<i32>().values(),
        DataType::LargeList(_) => array.as_list::<i64>().values(),
        _ => return array.logical_null_count() > 0,
    };
    array.null_count() > 0 || may_have_null(inside)
}

/// The values of list number `row`; `None` for other columns than lists.
fn list_of(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        _ => None,
    }
}

impl Rows {
    /// Rows `range`.
    pub fn part(&self, range: Range<usize>) -> Self {
        Self { path: self.path.clone(), batch: self.batch.slice(range.start, range.len()) }
    }

    /// Whether no row has a value of column `name`: nulls, or lists of nothing but nulls.
    ///
    /// # Errors
    /// [`Error::Content`] when there is no such column.
    pub fn is_empty(&self, name: &str) -> Result<bool> {
        Ok(is_empty(self.column(name)?))
    }

    /// The first row without a whole value of column `name`.
    fn gap(&self, name: &str) -> Option<usize> {
        let column = self.column(name).ok().filter(|column| may_have_null(column))?;
        (0..self.batch.num_rows()).find(|row| has_null(&column.slice(*row, 1)))
    }

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

    /// [`Rows::vectors`] of the episode whose rows these are, where the last row may have no value: it becomes NaN.
    ///
    /// # Errors
    /// [`Error::Content`] that names `episode` and the frame when a value is missing elsewhere.
    pub fn vectors_but_last(&self, name: &str, width: usize, episode: usize) -> Result<Vec<f32>> {
        let rows = self.batch.num_rows();
        let none = rows > 0 && self.part(rows - 1..rows).is_empty(name)?;
        let whole = self.part(0..rows - usize::from(none));
        let mut values = whole.values_of(name, width, episode)?;
        values.resize(values.len() + width * usize::from(none), f32::NAN);
        Ok(values)
    }

    /// [`Rows::vectors`] of the episode whose rows these are.
    ///
    /// # Errors
    /// [`Error::Content`] that names `episode` and the frame when a value is missing.
    pub fn values_of(&self, name: &str, width: usize, episode: usize) -> Result<Vec<f32>> {
        match self.gap(name) {
            Some(frame) => Err(self.wrong(&format!("episode {episode} frame {frame} {name}"), "a value", "none")),
            None => self.vectors(name, width),
        }
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

    /// Lists of texts, one list per row; empty where a row has none.
    pub fn text_lists(&self, name: &str) -> Result<Vec<Vec<String>>> {
        let (column, texts) = (self.column(name)?, DataType::List(element(DataType::Utf8)));
        let array = cast(column, &texts).map_err(|_| self.wrong(name, "lists of texts", column.data_type()))?;
        let texts = |list: Option<ArrayRef>| match list {
            Some(list) => list.as_string::<i32>().iter().flatten().map(String::from).collect(),
            None => Vec::new(),
        };
        Ok(array.as_list::<i32>().iter().map(texts).collect())
    }

    /// Bytes of an encoded image per row. Rows that share bytes in the file share them in memory.
    pub fn images(&self, name: &str) -> Result<BinaryViewArray> {
        let column = self.column(name)?;
        let bytes = match column.data_type() {
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => column,
            kind => {
                let bytes = column.as_struct_opt().and_then(|images| images.column_by_name("bytes"));
                bytes.ok_or_else(|| self.wrong(name, "struct{bytes, path}", kind))?
            }
        };
        Ok(self.cast(name, bytes, &DataType::BinaryView)?.as_binary_view().clone())
    }
}
