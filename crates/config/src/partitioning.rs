//! Which broker keeps which partitions: round robin, or as listed one by one.
//!
//! A list in the environment is a text as in the file, or has a variable for each value, as Spring reads them:
//! `ZEEBE_BROKER_EXPERIMENTAL_PARTITIONING_FIXED_0_PARTITIONID`, `…_FIXED_0_NODES_0_NODEID`, `…_FIXED_0_NODES_0_PRIORITY`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::source::{relaxed, variable_of};
use crate::{ConfigError, Source};

const SCHEME: &str = "zeebe.broker.experimental.partitioning.scheme";
const FIXED: &str = "zeebe.broker.experimental.partitioning.fixed";

/// Which brokers keep the replicas of each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution(Vec<Vec<u32>>);

impl Distribution {
    /// As Zeebe spreads them: the replicas of each partition on brokers that follow one another, beginning one further each time.
    pub fn round_robin(partitions: u32, size: u32, replication_factor: u32) -> Distribution {
        let replicas = |partition: u32| {
            let node = |step: u32| (partition + step) % size;
            (0..replication_factor).map(node).collect()
        };
        Distribution((0..partitions).map(replicas).collect())
    }

    /// The brokers that keep a partition, the one first that should lead it; none for a partition that does not exist.
    pub fn replicas(&self, partition: u32) -> &[u32] {
        let index = (partition as usize).checked_sub(1);
        let found = index.and_then(|index| self.0.get(index));
        found.map_or(&[], Vec::as_slice)
    }

    /// Whether a broker keeps a partition.
    pub fn keeps(&self, node: u32, partition: u32) -> bool {
        self.replicas(partition).contains(&node)
    }
}

/// The brokers of each partition, as configured.
pub(crate) fn distribution(
    source: &Source,
    partitions: u32,
    size: u32,
    replication_factor: u32,
) -> Result<Distribution, ConfigError> {
    let scheme = source.text(SCHEME);
    match relaxed(&scheme).as_str() {
        "roundrobin" => Ok(Distribution::round_robin(
            partitions,
            size,
            replication_factor,
        )),
        "fixed" => fixed(source, partitions, size, replication_factor),
        _ => Err(source.wrong(SCHEME, &scheme, "ROUND_ROBIN or FIXED")),
    }
}

/// The brokers of each partition as listed, those of higher priority first.
fn fixed(
    source: &Source,
    partitions: u32,
    size: u32,
    replication_factor: u32,
) -> Result<Distribution, ConfigError> {
    let wrong = |what: &str| wrong(source, (partitions, replication_factor), what);
    let entries = match entries_of_variables(source)? {
        Some(entries) => entries,
        None => {
            let text = source.text(FIXED);
            // The file's list is given entry by entry.
            let is_list = text.trim_start().starts_with('[');
            let list = if is_list { text } else { format!("[{text}]") };
            let read = serde_saphyr::from_str::<Vec<Value>>(&list);
            read.map_err(|error| wrong(&format!("it cannot be read ({error})")))?
        }
    };
    let mut all: Vec<Vec<u32>> = vec![Vec::new(); partitions as usize];
    for entry in &entries {
        let partition = number(entry, "partitionId").unwrap_or(0);
        let place = partition
            .checked_sub(1)
            .and_then(|index| all.get_mut(usize::try_from(index).ok()?))
            .filter(|place| place.is_empty())
            .ok_or_else(|| {
                wrong(&format!(
                    "partition {partition} is there twice or does not exist"
                ))
            })?;
        let nodes = field(entry, "nodes").and_then(Value::as_array);
        let mut nodes: Vec<(u64, u32)> = nodes
            .into_iter()
            .flatten()
            .map(|node| {
                let id = number(node, "nodeId").filter(|id| *id < u64::from(size));
                let id = id.ok_or_else(|| {
                    wrong(&format!(
                        "a node of partition {partition} is not one of the {size} brokers"
                    ))
                })?;
                Ok((number(node, "priority").unwrap_or(1), id as u32))
            })
            .collect::<Result<_, ConfigError>>()?;
        nodes.sort_by_key(|(priority, id)| (std::cmp::Reverse(*priority), *id));
        place.extend(nodes.into_iter().map(|(_, id)| id));
    }
    for (nodes, partition) in all.iter().zip(1..) {
        let mut distinct = nodes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() != nodes.len() || nodes.len() != replication_factor as usize {
            return Err(wrong(&format!("partition {partition} has other nodes")));
        }
    }
    Ok(Distribution(all))
}

fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a Value> {
    let mut fields = entry.as_object()?.iter();
    let (_, value) = fields.find(|(key, _)| relaxed(key) == relaxed(name))?;
    Some(value)
}

fn number(entry: &Value, name: &str) -> Option<u64> {
    field(entry, name)?.as_u64()
}

fn wrong(source: &Source, (partitions, nodes): (u32, u32), what: &str) -> ConfigError {
    source.wrong(
        FIXED,
        &source.text(FIXED),
        &format!(
            "a list of {{partitionId: 1, nodes: [{{nodeId: 0, priority: 3}}, …]}} with an entry for each of the {partitions} partitions and \
             {nodes} nodes in each: {what}"
        ),
    )
}

/// The list that has a variable for each value, if there is any.
fn entries_of_variables(source: &Source) -> Result<Option<Vec<Value>>, ConfigError> {
    let prefix = format!("{}_", variable_of(FIXED));
    let mut entries: BTreeMap<u32, Map<String, Value>> = BTreeMap::new();
    let mut nodes: BTreeMap<(u32, u32), Map<String, Value>> = BTreeMap::new();
    for (rest, value) in source.variables_below(&prefix) {
        let parts: Vec<&str> = rest.split('_').collect();
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let place = match parts[..] {
            [entry, "PARTITIONID"] => number(entry).map(|entry| entries.entry(entry).or_default()),
            [entry, "NODES", node, "NODEID" | "PRIORITY"] => number(entry)
                .zip(number(node))
                .map(|place| nodes.entry(place).or_default()),
            _ => None,
        };
        let (Some(place), Some(name), Some(value)) = (place, parts.last(), number(value)) else {
            return Err(ConfigError::Incomplete(format!(
                "{prefix}{rest} is '{value}', but {prefix}<i>_PARTITIONID, {prefix}<i>_NODES_<j>_NODEID and {prefix}<i>_NODES_<j>_PRIORITY are \
                 what there is, and whole numbers"
            )));
        };
        place.insert((*name).to_owned(), value.into());
    }
    for ((entry, _), node) in nodes {
        let list = entries.entry(entry).or_default();
        let list = list
            .entry("NODES")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(Value::Object(node));
        }
    }
    let entries: Vec<Value> = entries.into_values().map(Value::Object).collect();
    Ok((!entries.is_empty()).then_some(entries))
}
