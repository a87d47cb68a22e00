//! The values of FEEL.
//!
//! Values are immutable and cheap to clone: 24 bytes, large ones shared. Invariants, checked where lists, contexts and
//! functions are made: no value is nested deeper than [`VALUE_DEPTH_MAX`] or larger than [`VALUE_BYTES_MAX`], parts that
//! are shared counted as often as they occur. So every walk over a value (comparing, writing, dropping) is bounded.
//! Contexts keep the order of their entries.

use std::sync::Arc;

use crate::function::Function;
use crate::limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX};
use crate::number::Number;
use crate::range::Range;
use crate::temporal::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration};

/// A FEEL value.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Boolean(bool),
    Number(Number),
    String(Arc<str>),
    List(List),
    Context(Context),
    Date(Date),
    Time(Arc<Time>),
    DateTime(Arc<DateTime>),
    DaysTimeDuration(DaysTimeDuration),
    YearsMonthsDuration(YearsMonthsDuration),
    Function(Arc<Function>),
    Range(Arc<Range>),
}

const _: () = assert!(size_of::<Value>() == 24);

/// A list or context that would be more than values may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ValueLimit {
    #[error("a value is nested deeper than {VALUE_DEPTH_MAX} levels")]
    Depth,
    #[error("a value would take more than {VALUE_BYTES_MAX} bytes when written out")]
    Size,
}

impl Value {
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    pub fn list(items: Vec<Value>) -> Result<Value, ValueLimit> {
        List::new(items).map(Value::List)
    }

    /// Of two entries with one key the later wins, in the place of the first.
    pub fn context(entries: Vec<(Arc<str>, Value)>) -> Result<Value, ValueLimit> {
        Context::new(entries).map(Value::Context)
    }

    /// The type as Zeebe's messages spell it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NULL",
            Value::Boolean(_) => "BOOLEAN",
            Value::Number(_) => "NUMBER",
            Value::String(_) => "STRING",
            Value::List(_) => "LIST",
            Value::Context(_) => "CONTEXT",
            Value::Date(_) => "DATE",
            Value::Time(_) => "TIME",
            Value::DateTime(_) => "DATE_TIME",
            Value::DaysTimeDuration(_) => "DURATION",
            Value::YearsMonthsDuration(_) => "PERIOD",
            Value::Function(_) => "FUNCTION",
            Value::Range(_) => "RANGE",
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<Number> {
        match self {
            Value::Number(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list.items()),
            _ => None,
        }
    }

    pub fn as_context(&self) -> Option<&Context> {
        match self {
            Value::Context(context) => Some(context),
            _ => None,
        }
    }

    /// Roughly how many bytes the value takes when it is written out, as JSON for instance.
    pub fn written_bytes(&self) -> u64 {
        self.bytes()
    }

    /// How large the value is.
    pub(crate) fn extent(&self) -> Extent {
        match self {
            Value::List(list) => list.0.extent,
            Value::Context(context) => context.0.extent,
            Value::Function(function) => function.extent(),
            Value::Range(range) => Extent {
                depth: 0,
                bytes: 4 + range.start.value.bytes() + range.end.value.bytes(),
            },
            Value::String(text) => Extent {
                depth: 0,
                bytes: text.len() as u64 + 2,
            },
            _ => Extent { depth: 0, bytes: 4 },
        }
    }

    /// Bytes that the value takes when written out, roughly; what a walk over it costs.
    pub(crate) fn bytes(&self) -> u64 {
        self.extent().bytes
    }
}

/// Nesting (0 for a plain value, 1 for a list of plain values) and rough size of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    depth: u16,
    bytes: u64,
}

impl Extent {
    /// Of something that holds nothing.
    pub(crate) const EMPTY: Extent = Extent { depth: 1, bytes: 2 };

    pub(crate) fn with(self, value: &Value) -> Result<Extent, ValueLimit> {
        let inner = value.extent();
        let depth = self.depth.max(inner.depth + 1);
        if depth > VALUE_DEPTH_MAX {
            return Err(ValueLimit::Depth);
        }
        let bytes = self.bytes + inner.bytes;
        if bytes > VALUE_BYTES_MAX {
            return Err(ValueLimit::Size);
        }
        Ok(Extent { depth, bytes })
    }

    pub(crate) fn over<'a>(
        mut values: impl Iterator<Item = &'a Value>,
    ) -> Result<Extent, ValueLimit> {
        values.try_fold(Extent::EMPTY, Extent::with)
    }
}

/// An immutable list.
#[derive(Clone, Debug)]
pub struct List(Arc<ListNode>);

#[derive(Debug)]
struct ListNode {
    items: Vec<Value>,
    extent: Extent,
}

impl List {
    pub fn new(items: Vec<Value>) -> Result<List, ValueLimit> {
        let extent = Extent::over(items.iter())?;
        Ok(List(Arc::new(ListNode { items, extent })))
    }

    /// Appends in place; false if the list is shared, which has to be copied first.
    pub(crate) fn push_if_unshared(&mut self, value: &Value) -> Result<bool, ValueLimit> {
        let Some(node) = Arc::get_mut(&mut self.0) else {
            return Ok(false);
        };
        node.extent = node.extent.with(value)?;
        node.items.push(value.clone());
        Ok(true)
    }

    pub fn items(&self) -> &[Value] {
        &self.0.items
    }
}

/// An immutable context: entries in order, found by key.
#[derive(Clone, Debug)]
pub struct Context(Arc<ContextNode>);

#[derive(Debug)]
struct ContextNode {
    entries: Vec<(Arc<str>, Value)>,
    /// Positions of the entries sorted by key, only where a linear search would be slower.
    index: Vec<u32>,
    extent: Extent,
}

/// Up to this many entries a scan beats the index.
const LINEAR_ENTRIES_MAX: usize = 12;

impl Context {
    pub fn new(entries: Vec<(Arc<str>, Value)>) -> Result<Context, ValueLimit> {
        let mut extent = Extent::over(entries.iter().map(|(_, value)| value))?;
        extent.bytes += entries
            .iter()
            .map(|(key, _)| key.len() as u64 + 3)
            .sum::<u64>();
        let (entries, index) = if entries.len() <= LINEAR_ENTRIES_MAX {
            (without_duplicates_linear(entries), Vec::new())
        } else {
            without_duplicates_sorted(entries)
        };
        Ok(Context(Arc::new(ContextNode {
            entries,
            index,
            extent,
        })))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let node = &*self.0;
        if node.index.is_empty() {
            return node
                .entries
                .iter()
                .find(|(name, _)| &**name == key)
                .map(|(_, value)| value);
        }
        let found = node
            .index
            .binary_search_by(|at| (*node.entries[*at as usize].0).cmp(key))
            .ok()?;
        Some(&node.entries[node.index[found] as usize].1)
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[(Arc<str>, Value)] {
        &self.0.entries
    }

    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }
}

fn without_duplicates_linear(entries: Vec<(Arc<str>, Value)>) -> Vec<(Arc<str>, Value)> {
    let mut kept: Vec<(Arc<str>, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match kept.iter_mut().find(|(name, _)| *name == key) {
            Some(entry) => entry.1 = value,
            None => kept.push((key, value)),
        }
    }
    kept
}

type Entries = Vec<(Arc<str>, Value)>;

fn without_duplicates_sorted(entries: Entries) -> (Entries, Vec<u32>) {
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    order.sort_by(|a, b| entries[*a as usize].0.cmp(&entries[*b as usize].0));
    let duplicated = order
        .windows(2)
        .any(|pair| entries[pair[0] as usize].0 == entries[pair[1] as usize].0);
    if !duplicated {
        return (entries, order);
    }
    // The sort is stable: in a run of equal keys the first gives the place and the last the value.
    let mut winner: Vec<Option<u32>> = vec![None; entries.len()];
    for run in order.chunk_by(|a, b| entries[*a as usize].0 == entries[*b as usize].0) {
        winner[run[0] as usize] = run.last().copied();
    }
    let kept: Entries = winner
        .iter()
        .flatten()
        .map(|at| entries[*at as usize].clone())
        .collect();
    if kept.len() <= LINEAR_ENTRIES_MAX {
        return (kept, Vec::new());
    }
    let mut order: Vec<u32> = (0..kept.len() as u32).collect();
    order.sort_by(|a, b| kept[*a as usize].0.cmp(&kept[*b as usize].0));
    (kept, order)
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Boolean(value)
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Value {
        Value::Number(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Number(Number::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::String(value.into())
    }
}

impl From<Date> for Value {
    fn from(value: Date) -> Value {
        Value::Date(value)
    }
}

impl From<Time> for Value {
    fn from(value: Time) -> Value {
        Value::Time(Arc::new(value))
    }
}

impl From<DateTime> for Value {
    fn from(value: DateTime) -> Value {
        Value::DateTime(Arc::new(value))
    }
}

impl From<Range> for Value {
    fn from(value: Range) -> Value {
        Value::Range(Arc::new(value))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
