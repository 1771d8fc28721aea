//! A pickle's opcodes, as far as state dicts need them (Python's `pickletools` documents them all).

use std::collections::HashMap;
use std::ops::Range;

use super::pickled_object;
use super::values::{Id, Name, Value, kind, known_name};

/// Most bytes of a list of tensors, unpacked: that of a model of a thousand tensors has 200 kB.
pub(crate) const MAX_LIST_BYTES: u64 = 8 << 20;
/// Most values, and most values with a number for recalling them: such a model has 20 000.
const MAX_VALUES: usize = 1 << 20;

/// The values of a pickle.
pub(super) struct Pickle<'a> {
    data: &'a [u8],
    pub values: Vec<Value>,
    pub children: Vec<Id>,
    pub dicts: Vec<Vec<(Id, Id)>>,
    pub lists: Vec<Vec<Id>>,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle: its values, and the one that it leaves.
    ///
    /// # Errors
    /// Where it goes on in a way that no state dict does, with the place.
    pub fn read(data: &'a [u8]) -> Result<(Self, Id), String> {
        if data.len() as u64 > MAX_LIST_BYTES {
            return Err(format!("expected at most {MAX_LIST_BYTES} bytes, got {}", data.len()));
        }
        let pickle = Self { data, values: Vec::new(), children: Vec::new(), dicts: Vec::new(), lists: Vec::new() };
        let mut machine =
            Machine { pickle, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), memoised: 0 };
        loop {
            let start = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok((machine.pickle, root)),
                Err(reason) => return Err(format!("byte {start}: {reason}")),
            }
        }
    }

    /// The text at `range`.
    pub fn text(&self, range: &Range<u32>) -> Result<&'a str, String> {
        let bytes = self.data.get(range.start as usize..range.end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| "expected UTF-8 text, got other bytes".into())
    }

    /// The value called `id`; every id comes from this pickle.
    pub fn value(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::Other)
    }

    /// The values of a tuple.
    pub fn tuple(&self, id: Id) -> Result<&[Id], String> {
        match self.value(id) {
            Value::Tuple(range) => Ok(self.children.get(range.start as usize..range.end as usize).unwrap_or_default()),
            other => Err(format!("expected a tuple, got {}", kind(other))),
        }
    }
}

struct Machine<'a> {
    pickle: Pickle<'a>,
    at: usize,
    stack: Vec<Id>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Values numbered by themselves.
    memoised: u32,
}

impl Machine<'_> {
    /// Does one opcode; the value that is left after the last.
    fn step(&mut self) -> Result<Option<Id>, String> {
        match self.byte()? {
            0x80 => drop(self.take(1)?), // the protocol's version
            0x95 => drop(self.take(8)?), // the length of a frame
            b'(' => self.marks.push(self.stack.len()),
            b'.' => return Ok(Some(self.pop()?)),
            b'N' => self.push(Value::Other)?,
            b']' => {
                self.push(Value::List(self.pickle.lists.len() as u32))?;
                self.pickle.lists.push(Vec::new());
            }
            0x88 | 0x89 => self.push(Value::Bool)?,
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(i64::from(number)))?;
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Int(i64::from(number)))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(i64::from(number)))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                let number = integer(self.take(length)?)?;
                self.push(Value::Int(number))?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Other)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            0x8c => {
                let length = self.byte()?;
                self.text(usize::from(length))?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let known = self.named(&module, &name)?;
                self.push(Value::Name(known))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let known =
                    self.named(&module_range(self.pickle.value(module))?, &module_range(self.pickle.value(name))?)?;
                self.push(Value::Name(known))?;
            }
            b'q' => {
                let number = self.byte()?;
                self.memoise(u32::from(number))?;
            }
            b'r' => {
                let number = u32::from_le_bytes(self.array()?);
                self.memoise(number)?;
            }
            0x94 => {
                self.memoise(self.memoised)?;
                self.memoised += 1;
            }
            b'h' => {
                let number = self.byte()?;
                self.recall(u32::from(number))?;
            }
            b'j' => {
                let number = u32::from_le_bytes(self.array()?);
                self.recall(number)?;
            }
            b')' => self.tuple(self.stack.len())?,
            b't' => {
                let mark = self.mark()?;
                self.tuple(mark)?;
            }
            count @ 0x85..=0x87 => {
                let start =
                    self.stack.len().checked_sub(usize::from(count - 0x84)).filter(|start| *start >= self.floor());
                self.tuple(start.ok_or("expected more values on the stack, got too few")?)?;
            }
            b'}' => self.dict(Vec::new())?,
            b'd' => {
                let mark = self.mark()?;
                let items = pairs(&self.stack.split_off(mark))?;
                self.dict(items)?;
            }
            b's' => {
                let start = self.stack.len().saturating_sub(2).max(self.floor());
                self.set_items(start)?;
            }
            b'u' => {
                let mark = self.mark()?;
                self.set_items(mark)?;
            }
            b'a' => {
                let start = self.stack.len().saturating_sub(1).max(self.floor());
                self.append(start)?;
            }
            b'e' => {
                let mark = self.mark()?;
                self.append(mark)?;
            }
            b'Q' => {
                let description = self.pop()?;
                self.push(Value::Storage(description))?;
            }
            b'R' => self.call()?,
            b'b' => self.build()?,
            opcode => return Err(format!("expected an opcode of a state dict, got 0x{opcode:02x}")),
        }
        Ok(None)
    }

    /// A call is kept as a value; an ordered dict is made at once, since it is filled later.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let count = self.pickle.tuple(arguments)?.len();
        match *self.pickle.value(callable) {
            Value::Name(Name::OrderedDict) if count == 0 => self.dict(Vec::new()),
            Value::Name(Name::OrderedDict) => Err(format!("expected an OrderedDict without arguments, got {count}")),
            Value::Name(name) => self.push(Value::Call(name, arguments)),
            ref other => Err(format!("expected a call of a name, got {}", kind(other))),
        }
    }

    /// The attributes of a state dict (versions of its modules) describe no tensor.
    fn build(&mut self) -> Result<(), String> {
        let (_attributes, object) = (self.pop()?, self.pop()?);
        match self.pickle.value(object) {
            Value::Dict(_) => {
                self.stack.push(object);
                Ok(())
            }
            other => Err(format!("expected attributes of a dict, got those of {}", kind(other))),
        }
    }

    fn set_items(&mut self, start: usize) -> Result<(), String> {
        let items = pairs(&self.stack.split_off(start))?;
        if items.is_empty() {
            return Ok(());
        }
        let dict = self.pop()?;
        match *self.pickle.value(dict) {
            Value::Dict(number) => {
                self.pickle.dicts.get_mut(number as usize).into_iter().for_each(|dict| dict.extend(&items));
                self.stack.push(dict);
                Ok(())
            }
            ref other => Err(format!("expected items of a dict, got those of {}", kind(other))),
        }
    }

    /// Appends the values from `start` up to the list below them; those of other containers describe no tensor.
    fn append(&mut self, start: usize) -> Result<(), String> {
        let values = self.stack.split_off(start);
        if let Some(Value::List(number)) = self.stack.last().map(|&below| self.pickle.value(below).clone()) {
            self.pickle.lists.get_mut(number as usize).into_iter().for_each(|list| list.extend(&values));
        }
        Ok(())
    }

    fn dict(&mut self, items: Vec<(Id, Id)>) -> Result<(), String> {
        self.push(Value::Dict(self.pickle.dicts.len() as u32))?;
        self.pickle.dicts.push(items);
        Ok(())
    }

    /// Makes a tuple of the values from `start` up.
    fn tuple(&mut self, start: usize) -> Result<(), String> {
        let first = self.pickle.children.len() as u32;
        self.pickle.children.extend(self.stack.drain(start..));
        self.push(Value::Tuple(first..self.pickle.children.len() as u32))
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let start = self.at as u32;
        self.take(length)?;
        self.push(Value::Text(start..self.at as u32))
    }

    fn named(&self, module: &Range<u32>, name: &Range<u32>) -> Result<Name, String> {
        let (module, name) = (self.pickle.text(module)?, self.pickle.text(name)?);
        known_name(module, name).ok_or_else(|| {
            let advice = pickled_object("a pickled Python object");
            format!("expected a name that a state dict needs, got {module}.{name}: {advice}")
        })
    }

    fn memoise(&mut self, number: u32) -> Result<(), String> {
        let value = *self.stack.last().ok_or("expected a value to number, got none")?;
        if self.memo.len() >= MAX_VALUES {
            return Err(format!("expected at most {MAX_VALUES} numbered values, got more"));
        }
        self.memo.insert(number, value);
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<(), String> {
        let value = self.memo.get(&number).ok_or_else(|| format!("expected a value with number {number}, got none"))?;
        self.stack.push(*value);
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        if self.pickle.values.len() >= MAX_VALUES {
            return Err(format!("expected at most {MAX_VALUES} values, got more"));
        }
        self.stack.push(self.pickle.values.len() as Id);
        self.pickle.values.push(value);
        Ok(())
    }

    /// Height of the stack at the last mark: below it nothing is taken one by one.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        let above = self.stack.len() > self.floor();
        above.then(|| self.stack.pop()).flatten().ok_or_else(|| "expected a value on the stack, got none".into())
    }

    fn mark(&mut self) -> Result<usize, String> {
        self.marks.pop().ok_or_else(|| "expected a mark on the stack, got none".into())
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let bytes = self.pickle.data.get(self.at..).unwrap_or_default();
        let taken = bytes.get(..count).ok_or_else(|| format!("expected {count} bytes more, got {}", bytes.len()))?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "expected more bytes, got the end".into())
    }

    /// Where a line is, without its end.
    fn line(&mut self) -> Result<Range<u32>, String> {
        let (data, start) = (self.pickle.data, self.at);
        let length = data[start..].iter().position(|&byte| byte == b'\n').ok_or("expected a line, got the end")?;
        self.at = start + length + 1;
        Ok(start as u32..(start + length) as u32)
    }
}

fn module_range(value: &Value) -> Result<Range<u32>, String> {
    match value {
        Value::Text(range) => Ok(range.clone()),
        other => Err(format!("expected the text of a name, got {}", kind(other))),
    }
}

/// A little-endian integer of any length up to 8 bytes, with its sign.
fn integer(bytes: &[u8]) -> Result<i64, String> {
    if bytes.len() > 8 {
        return Err(format!("expected an integer of at most 8 bytes, got {}", bytes.len()));
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(all))
}

fn pairs(values: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    match values.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("expected a value for every key, got a key without".into()),
    }
}
