//! Arguments of a built-in function, taken by type.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Answer, Refusal, Signature};
use crate::function::Function;
use crate::number::Number;
use crate::value::{Context, Value};

#[derive(Clone, Copy)]
pub(crate) struct Args<'a> {
    values: &'a [Value],
    signature: &'static Signature,
}

impl<'a> Args<'a> {
    pub(crate) fn new(values: &'a [Value], signature: &'static Signature) -> Args<'a> {
        Args { values, signature }
    }

    pub(super) fn all(&self) -> &'a [Value] {
        self.values
    }

    /// The argument, null if it was left out.
    pub(super) fn value(&self, at: usize) -> &'a Value {
        self.values.get(at).unwrap_or(&Value::Null)
    }

    /// The argument; of a list of one item, the item.
    fn single(&self, at: usize) -> &'a Value {
        match self.value(at) {
            Value::List(list) if list.items().len() == 1 => &list.items()[0],
            value => value,
        }
    }

    /// Whether the argument was left out or is null.
    pub(super) fn is_absent(&self, at: usize) -> bool {
        self.value(at).is_null()
    }

    fn refuse(&self, at: usize, expected: &str) -> Refusal {
        let last = self.signature.parameters.last().copied().unwrap_or("");
        let name = self.signature.parameters.get(at).copied().unwrap_or(last);
        let found = self.value(at).type_name();
        Refusal::Null(format!(
            "parameter '{name}' expects a {expected}, found a {found}"
        ))
    }

    pub(super) fn text(&self, at: usize) -> Answer<&'a str> {
        self.single(at)
            .as_str()
            .ok_or_else(|| self.refuse(at, "STRING"))
    }

    pub(super) fn number(&self, at: usize) -> Answer<Number> {
        self.single(at)
            .as_number()
            .ok_or_else(|| self.refuse(at, "NUMBER"))
    }

    /// A whole number; a fraction is cut off.
    pub(super) fn integer(&self, at: usize) -> Answer<i64> {
        let whole = self.number(at)?.round(0, crate::number::Rounding::Down);
        whole
            .and_then(|number| number.to_i64())
            .ok_or_else(|| Refusal::Null("a number is too large to count with".to_owned()))
    }

    pub(super) fn boolean(&self, at: usize) -> Answer<bool> {
        self.single(at)
            .as_bool()
            .ok_or_else(|| self.refuse(at, "BOOLEAN"))
    }

    pub(super) fn context(&self, at: usize) -> Answer<&'a Context> {
        self.single(at)
            .as_context()
            .ok_or_else(|| self.refuse(at, "CONTEXT"))
    }

    pub(super) fn function(&self, at: usize) -> Answer<&'a Arc<Function>> {
        match self.value(at) {
            Value::Function(function) => Ok(function),
            _ => Err(self.refuse(at, "FUNCTION")),
        }
    }

    /// A list; another value counts as the list of it.
    pub(super) fn list(&self, at: usize) -> Answer<&'a [Value]> {
        match self.value(at) {
            Value::List(list) => Ok(list.items()),
            Value::Null => Err(self.refuse(at, "LIST")),
            single => Ok(std::slice::from_ref(single)),
        }
    }

    /// The items of a single list argument, or all arguments from `at` on.
    pub(super) fn items(&self, at: usize) -> Answer<&'a [Value]> {
        match self.values.get(at..).unwrap_or(&[]) {
            [Value::List(list)] => Ok(list.items()),
            [Value::Null] => Err(self.refuse(at, "LIST")),
            items => Ok(items),
        }
    }

    /// An optional text; null counts as left out.
    pub(super) fn text_or(&self, at: usize, default: &'static str) -> Answer<Cow<'a, str>> {
        if self.is_absent(at) {
            return Ok(Cow::Borrowed(default));
        }
        self.text(at).map(Cow::Borrowed)
    }
}
