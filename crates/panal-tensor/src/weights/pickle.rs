//! What a pickle of `torch.save` holds: values, dictionaries, and tensors that look at storages. `machine` reads it.
//!
//! Objects live in one list and refer to each other by position, so that no nesting, however deep or cyclic, costs stack or
//! time.

use tch::Kind;

/// A value on the stack. Floats occur, in hyper-parameters; nobody asks for their value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    /// Position in [`Pickle::objects`].
    Object(usize),
}

#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Global(Global),
    Storage(Storage),
    Tensor(View),
}

/// The names of Python that may stand in a weight file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageOf(Kind),
}

/// A run of elements that stands elsewhere in the file, under a key.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) kind: Kind,
    /// Elements in the whole storage.
    pub(super) numel: usize,
    /// First element and length of the part that tensors count from; the whole, but in old files.
    pub(super) part: (usize, usize),
}

/// A tensor: how it looks at a storage. Unchecked.
#[derive(Debug)]
pub(super) struct View {
    /// Position of the storage among the objects.
    pub(super) storage: usize,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

/// What one pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) objects: Vec<Object>,
    pub(super) root: Value,
}

impl Pickle {
    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match self.object(value)? {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list or a tuple.
    pub(super) fn items(&self, value: Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::List(items) | Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value)? {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// The value under a key of text; the last one, as in Python.
    pub(super) fn field(&self, dict: Value, key: &str) -> Option<Value> {
        let items = self.dict(dict)?;
        items.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// A tensor and the storage that it looks at.
    pub(super) fn tensor(&self, value: Value) -> Option<(&View, &Storage)> {
        let Object::Tensor(view) = self.object(value)? else { return None };
        let Object::Storage(storage) = self.objects.get(view.storage)? else { return None };
        Some((view, storage))
    }

    /// Every storage that is spoken of.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// What a value is, for messages.
    pub(super) fn describe(&self, value: Value) -> &'static str {
        match (value, self.object(value)) {
            (Value::None, _) => "None",
            (Value::Bool(_), _) => "a truth value",
            (Value::Int(_), _) => "an integer",
            (Value::Float, _) => "a float",
            (_, Some(Object::Text(_))) => "a string",
            (_, Some(Object::List(_))) => "a list",
            (_, Some(Object::Tuple(_))) => "a tuple",
            (_, Some(Object::Dict(_))) => "a dictionary",
            (_, Some(Object::Global(_))) => "a Python class",
            (_, Some(Object::Storage(_))) => "a storage",
            (_, Some(Object::Tensor(_))) => "a tensor",
            (Value::Object(_), None) => "nothing",
        }
    }
}
