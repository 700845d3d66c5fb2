//! The stack machine that reads the pickles of `torch.save`: data only, no Python, no calls. Files are read elsewhere.
//!
//! A pickle is a program for a small stack machine. Of its operations this one knows those that torch writes (protocol 2,
//! with the strings of Python 2), and of Python's names those in [`Global`]; anything else ends the reading.

use std::collections::HashMap;

use tch::Kind;

use super::pickle::{Global, Object, Pickle, Storage, Value, View};
use crate::error::FileFault;

/// More operations than any network's weights take (a tensor takes about forty), and few enough to bound the memory.
const MAX_OPERATIONS: usize = 1 << 20;

/// The operations known here, by the names of Python's `pickletools`.
mod op {
    pub(super) const PROTO: u8 = 0x80;
    pub(super) const STOP: u8 = b'.';
    pub(super) const MARK: u8 = b'(';
    pub(super) const POP: u8 = b'0';
    pub(super) const NONE: u8 = b'N';
    pub(super) const NEWTRUE: u8 = 0x88;
    pub(super) const NEWFALSE: u8 = 0x89;
    pub(super) const BININT: u8 = b'J';
    pub(super) const BININT1: u8 = b'K';
    pub(super) const BININT2: u8 = b'M';
    pub(super) const LONG1: u8 = 0x8a;
    pub(super) const BINFLOAT: u8 = b'G';
    pub(super) const BINUNICODE: u8 = b'X';
    pub(super) const BINSTRING: u8 = b'T';
    pub(super) const SHORT_BINSTRING: u8 = b'U';
    pub(super) const EMPTY_LIST: u8 = b']';
    pub(super) const EMPTY_DICT: u8 = b'}';
    pub(super) const EMPTY_TUPLE: u8 = b')';
    pub(super) const TUPLE1: u8 = 0x85;
    pub(super) const TUPLE2: u8 = 0x86;
    pub(super) const TUPLE3: u8 = 0x87;
    pub(super) const TUPLE: u8 = b't';
    pub(super) const LIST: u8 = b'l';
    pub(super) const APPEND: u8 = b'a';
    pub(super) const APPENDS: u8 = b'e';
    pub(super) const SETITEM: u8 = b's';
    pub(super) const SETITEMS: u8 = b'u';
    pub(super) const BINPUT: u8 = b'q';
    pub(super) const LONG_BINPUT: u8 = b'r';
    pub(super) const BINGET: u8 = b'h';
    pub(super) const LONG_BINGET: u8 = b'j';
    pub(super) const GLOBAL: u8 = b'c';
    pub(super) const BINPERSID: u8 = b'Q';
    pub(super) const REDUCE: u8 = b'R';
    pub(super) const BUILD: u8 = b'b';
}

/// Reads the pickle that begins at `*at` and leaves `*at` behind it.
///
/// # Errors
/// [`FileFault::Refused`] for a name that is not data, [`FileFault::Unsupported`] for data that torch's state dicts don't
/// hold, [`FileFault::Truncated`] and [`FileFault::Malformed`].
pub(super) fn read(bytes: &[u8], at: &mut usize) -> Result<Pickle, FileFault> {
    let mut machine =
        Machine { bytes, at: *at, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), objects: vec![] };
    let root = machine.run()?;
    *at = machine.at;
    Ok(Pickle { objects: machine.objects, root })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Vec<Object>,
}

impl Machine<'_> {
    /// Runs to the STOP operation and returns what is on top of the stack.
    fn run(&mut self) -> Result<Value, FileFault> {
        for _ in 0..MAX_OPERATIONS {
            let start = self.at;
            let [operation] = self.take()?;
            match operation {
                op::PROTO => match self.take::<1>()? {
                    [0..=3] => {}
                    [newer] => return Err(FileFault::Unsupported(newer_protocol(newer))),
                },
                op::STOP => return self.pop(),
                op::MARK => self.marks.push(self.stack.len()),
                op::POP => drop(self.pop()?),

                op::NONE => self.stack.push(Value::None),
                op::NEWTRUE => self.stack.push(Value::Bool(true)),
                op::NEWFALSE => self.stack.push(Value::Bool(false)),
                op::BININT => {
                    let value = i32::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(value.into()));
                }
                op::BININT1 => {
                    let [value] = self.take()?;
                    self.stack.push(Value::Int(value.into()));
                }
                op::BININT2 => {
                    let value = u16::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(value.into()));
                }
                op::LONG1 => {
                    let value = self.long()?;
                    self.stack.push(Value::Int(value));
                }
                op::BINFLOAT => {
                    self.take::<8>()?;
                    self.stack.push(Value::Float);
                }
                op::BINUNICODE | op::BINSTRING => {
                    let len = u32::from_le_bytes(self.take()?);
                    self.push_text(len as usize)?;
                }
                op::SHORT_BINSTRING => {
                    let [len] = self.take()?;
                    self.push_text(len.into())?;
                }

                op::EMPTY_LIST => self.push(Object::List(Vec::new())),
                op::EMPTY_DICT => self.push(Object::Dict(Vec::new())),
                op::EMPTY_TUPLE => self.push(Object::Tuple(Vec::new())),
                op::TUPLE1 => self.push_tuple(1)?,
                op::TUPLE2 => self.push_tuple(2)?,
                op::TUPLE3 => self.push_tuple(3)?,
                op::TUPLE => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Tuple(items));
                }
                op::LIST => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::List(items));
                }
                op::APPEND => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                op::APPENDS => {
                    let items = self.pop_to_mark()?;
                    self.append(&items)?;
                }
                op::SETITEM => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(&[key, value])?;
                }
                op::SETITEMS => {
                    let items = self.pop_to_mark()?;
                    self.set_items(&items)?;
                }

                op::BINPUT => {
                    let [slot] = self.take()?;
                    self.remember(slot.into())?;
                }
                op::LONG_BINPUT => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.remember(slot)?;
                }
                op::BINGET => {
                    let [slot] = self.take()?;
                    self.recall(slot.into())?;
                }
                op::LONG_BINGET => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.recall(slot)?;
                }

                op::GLOBAL => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Object::Global(global(&module, &name)?));
                }
                op::BINPERSID => self.persistent_id()?,
                op::REDUCE => self.reduce()?,
                op::BUILD => self.build()?,
                other => {
                    return Err(FileFault::Unsupported(format!(
                        "pickle operation 0x{other:02x} at byte {start} is none that torch.save writes"
                    )));
                }
            }
        }
        Err(FileFault::Unsupported(format!("the pickle takes more than {MAX_OPERATIONS} operations")))
    }

    fn take_slice(&mut self, len: usize) -> Result<&[u8], FileFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..len).ok_or_else(|| FileFault::Truncated {
            part: "the pickle".to_owned(),
            needed: len as u64,
            left: rest.len() as u64,
        })?;
        self.at += len;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FileFault> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take_slice(N)?);
        Ok(bytes)
    }

    /// A line of a GLOBAL operation, without its end.
    fn line(&mut self) -> Result<String, FileFault> {
        const LONGEST: usize = 200;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let line = rest.iter().take(LONGEST).position(|&byte| byte == b'\n').map(|end| &rest[..end]);
        let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or_else(|| damaged("a name has no end"))?;
        self.at += line.len() + 1;
        Ok(line.to_owned())
    }

    /// A little-endian integer of up to 8 bytes, in two's complement.
    fn long(&mut self) -> Result<i64, FileFault> {
        let [len] = self.take()?;
        let bytes = self.take_slice(len.into())?;
        let Some(top) = bytes.last() else { return Ok(0) };
        let mut value = [if top & 0x80 == 0 { 0x00 } else { 0xff }; 8];
        let low = value.get_mut(..bytes.len());
        low.ok_or_else(|| FileFault::Unsupported(format!("an integer of {len} bytes")))?.copy_from_slice(bytes);
        Ok(i64::from_le_bytes(value))
    }

    fn push_text(&mut self, len: usize) -> Result<(), FileFault> {
        let text = std::str::from_utf8(self.take_slice(len)?).map_err(|_| damaged("a string is not UTF-8"))?.to_owned();
        self.push(Object::Text(text));
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn push_tuple(&mut self, len: usize) -> Result<(), FileFault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(len).filter(|&start| start >= floor).ok_or_else(too_low)?;
        let items = self.stack.split_off(start);
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, FileFault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(too_low());
        }
        self.stack.pop().ok_or_else(too_low)
    }

    fn top(&mut self) -> Result<&mut Object, FileFault> {
        match self.stack.last() {
            Some(&Value::Object(at)) => self.objects.get_mut(at).ok_or_else(too_low),
            _ => Err(damaged("an operation expects an object on the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, FileFault> {
        let mark = self.marks.pop().ok_or_else(|| damaged("an operation expects a mark on the stack"))?;
        Ok(self.stack.split_off(mark)) // pop() never goes below the last mark
    }

    fn append(&mut self, new: &[Value]) -> Result<(), FileFault> {
        match self.top()? {
            Object::List(items) => items.extend_from_slice(new),
            _ => return Err(damaged("an item is appended to what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, new: &[Value]) -> Result<(), FileFault> {
        let Object::Dict(items) = self.top()? else { return Err(damaged("an item is set in what is no dictionary")) };
        for pair in new.chunks(2) {
            let &[key, value] = pair else { return Err(damaged("a dictionary has a key without a value")) };
            items.push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, slot: u32) -> Result<(), FileFault> {
        let value = *self.stack.last().ok_or_else(too_low)?;
        self.memo.insert(slot, value);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), FileFault> {
        let value = self.memo.get(&slot).ok_or_else(|| damaged("a reference leads nowhere"))?;
        self.stack.push(*value);
        Ok(())
    }

    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.object(value) {
            Some(Object::Tuple(items)) => Some(items),
            _ => None,
        }
    }

    /// `("storage", type, key, location, numel)`, in the older format with `None` or `(key, offset, numel)` at the end.
    fn persistent_id(&mut self) -> Result<(), FileFault> {
        let id = self.pop()?;
        let storage = self.storage(id)?;
        self.push(Object::Storage(storage));
        Ok(())
    }

    fn storage(&self, id: Value) -> Result<Storage, FileFault> {
        let wrong = || damaged("a reference to a storage is not as torch writes it");
        let (tag, rest) = self.tuple(id).and_then(<[Value]>::split_first).ok_or_else(wrong)?;
        match self.object(*tag) {
            Some(Object::Text(tag)) if tag == "storage" => {}
            Some(Object::Text(tag)) if tag == "module" => {
                return Err(FileFault::Refused("a network's Python class".to_owned()));
            }
            _ => return Err(wrong()),
        }
        let (&[class, key, _location, numel], part) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (Some(Object::Global(Global::StorageOf(kind))), Some(Object::Text(key))) =
            (self.object(class), self.object(key))
        else {
            return Err(wrong());
        };
        let numel = length(numel).ok_or_else(wrong)?;
        let part = match part.first() {
            None | Some(Value::None) => (0, numel),
            Some(&part) => {
                let &[_key, first, len] = self.tuple(part).ok_or_else(wrong)? else { return Err(wrong()) };
                let (first, len) = length(first).zip(length(len)).ok_or_else(wrong)?;
                let inside = first.checked_add(len).is_some_and(|end| end <= numel);
                if inside { (first, len) } else { return Err(damaged("a part of a storage reaches beyond its end")) }
            }
        };
        Ok(Storage { key: key.clone(), kind: *kind, numel, part })
    }

    /// A call, of which four are data: an ordered dictionary, a tensor (of two ages), a parameter.
    fn reduce(&mut self) -> Result<(), FileFault> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Some(&Object::Global(callee)) = self.object(callee) else {
            return Err(FileFault::Refused("what is no function".to_owned()));
        };
        let arguments = self.tuple(arguments).ok_or_else(|| damaged("a call has no arguments"))?;
        match callee {
            Global::OrderedDict => {
                let items = arguments.first().map_or(Some(Vec::new()), |&items| self.pairs(items));
                self.push(Object::Dict(items.ok_or_else(|| damaged("an ordered dictionary is not made of pairs"))?));
            }
            Global::RebuildTensor => {
                let view = self.view(arguments).ok_or_else(|| damaged("a tensor is not as torch writes it"))?;
                self.push(Object::Tensor(view));
            }
            Global::RebuildParameter => {
                let wrong = || damaged("a parameter holds no tensor");
                let tensor = *arguments.first().ok_or_else(wrong)?;
                match self.object(tensor) {
                    Some(Object::Tensor(_)) => self.stack.push(tensor),
                    _ => return Err(wrong()),
                }
            }
            Global::StorageOf(_) => return Err(FileFault::Refused("a torch storage class".to_owned())),
        }
        Ok(())
    }

    /// The items of a list of pairs, as Python 2 writes an ordered dictionary.
    fn pairs(&self, list: Value) -> Option<Vec<(Value, Value)>> {
        let Object::List(items) = self.object(list)? else { return None };
        let pair = |item: &Value| match self.object(*item)? {
            Object::List(pair) | Object::Tuple(pair) => Some(<[Value; 2]>::try_from(pair.as_slice()).ok()?.into()),
            _ => None,
        };
        items.iter().map(pair).collect()
    }

    /// `(storage, offset, shape, stride, ...)`; whether it took gradients does not matter here.
    fn view(&self, arguments: &[Value]) -> Option<View> {
        let &[Value::Object(storage), Value::Int(offset), shape, stride, ..] = arguments else { return None };
        let numbers = |value: Value| -> Option<Vec<i64>> {
            let number = |item: &Value| if let Value::Int(number) = item { Some(*number) } else { None };
            self.tuple(value)?.iter().map(number).collect()
        };
        let is_storage = matches!(self.objects.get(storage), Some(Object::Storage(_)));
        is_storage.then_some(View { storage, offset, shape: numbers(shape)?, stride: numbers(stride)? })
    }

    /// Attributes for an object. A state dict has some (`_metadata`, versions of its layers), which nobody needs.
    fn build(&mut self) -> Result<(), FileFault> {
        self.pop()?;
        match self.top()? {
            Object::Dict(_) => Ok(()),
            _ => Err(FileFault::Unsupported("an object with attributes, which is not a plain state dict".to_owned())),
        }
    }
}

/// Looks a name of Python up; whatever is not known here is refused before anything is done with it.
fn global(module: &str, name: &str) -> Result<Global, FileFault> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch" | "torch.cuda" | "torch.storage", name) if name.ends_with("Storage") => {
            Global::StorageOf(storage_kind(name).ok_or_else(|| {
                FileFault::Unsupported(format!("tensors of a type that is not read ({})", name.escape_debug()))
            })?)
        }
        _ => return Err(FileFault::Refused(format!("{}.{}", module.escape_debug(), name.escape_debug()))),
    })
}

fn storage_kind(class: &str) -> Option<Kind> {
    Some(match class {
        "FloatStorage" => Kind::Float,
        "DoubleStorage" => Kind::Double,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "ShortStorage" => Kind::Int16,
        "CharStorage" => Kind::Int8,
        "ByteStorage" => Kind::Uint8,
        "BoolStorage" => Kind::Bool,
        _ => return None,
    })
}

fn length(value: Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(number).ok(),
        _ => None,
    }
}

fn newer_protocol(version: u8) -> String {
    format!("pickle protocol {version}: save again with torch.save's own default (2)")
}

fn damaged(what: &str) -> FileFault {
    FileFault::Malformed(format!("pickle: {what}"))
}

fn too_low() -> FileFault {
    damaged("an operation expects more on the stack")
}
