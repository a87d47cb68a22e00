//! The shapes of processes that are measured: the engine alone (its example `shapes`) and a whole broker (`skep-load shapes`).

/// The type of their jobs.
pub const JOB_TYPE: &str = "load";

/// A process and how its instances are run to their end.
pub struct Shape {
    /// Its id.
    pub name: &'static str,
    /// What is deployed: names and contents.
    pub resources: &'static [(&'static str, &'static str)],
    /// Variables of the instance with a number.
    pub variables: fn(u64) -> String,
    /// Whether each instance waits for a message `paid` with its number.
    pub message: bool,
}

macro_rules! resource {
    ($file:literal) => {
        (
            $file,
            include_str!(concat!("../../../testdata/shapes/", $file)),
        )
    };
}

/// All of them.
pub const SHAPES: [Shape; 7] = [
    Shape {
        name: "one_task",
        resources: &[resource!("one_task.bpmn")],
        variables: order,
        message: false,
    },
    Shape {
        name: "ten_tasks",
        resources: &[resource!("ten_tasks.bpmn")],
        variables: order,
        message: false,
    },
    Shape {
        name: "hundred_at_once",
        resources: &[resource!("hundred_at_once.bpmn")],
        variables: order,
        message: false,
    },
    Shape {
        name: "calls",
        resources: &[resource!("calls.bpmn")],
        variables: order,
        message: false,
    },
    Shape {
        name: "decision",
        resources: &[resource!("decision.bpmn"), resource!("decision.dmn")],
        variables: order,
        message: false,
    },
    Shape {
        name: "large_variables",
        resources: &[resource!("large_variables.bpmn")],
        variables: document,
        message: false,
    },
    Shape {
        name: "message",
        resources: &[resource!("message.bpmn")],
        variables: order,
        message: true,
    },
];

fn order(number: u64) -> String {
    let amount = number % 2_000;
    format!(r#"{{"order":"{number}","customer":"silver","amount":{amount}}}"#)
}

/// 100 KB.
fn document(number: u64) -> String {
    let line = r#"{"article":"0123456789abcdef","quantity":12,"currency":"EUR"}"#;
    let lines = vec![line; 100_000 / (line.len() + 1)].join(",");
    format!(r#"{{"order":"{number}","lines":[{lines}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_in_the_file_of_its_name_and_its_instances_have_a_number() {
        for shape in SHAPES {
            let (file, content) = shape.resources[0];
            assert_eq!(file, format!("{}.bpmn", shape.name));
            assert!(content.contains(&format!("<bpmn:process id=\"{}\"", shape.name)));
            assert!((shape.variables)(7).starts_with(r#"{"order":"7","#));
        }
    }
}
