//! What is deployed and which variables instances have.

/// The process whose instances are timed: one service task.
pub const TASK: &str = "load";
/// The process whose instances wait: a service task that nobody works on.
pub const WAITING: &str = "waiting";
/// The type of the timed jobs.
pub const JOB_TYPE: &str = "load";

/// A process of one service task.
pub fn process(id: &str) -> Vec<u8> {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="load">
  <bpmn:process id="{id}" isExecutable="true">
    <bpmn:startEvent id="start"/>
    <bpmn:sequenceFlow id="to_task" sourceRef="start" targetRef="task"/>
    <bpmn:serviceTask id="task">
      <bpmn:extensionElements><zeebe:taskDefinition type="{id}"/></bpmn:extensionElements>
    </bpmn:serviceTask>
    <bpmn:sequenceFlow id="to_end" sourceRef="task" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>
"#
    )
    .into_bytes()
}

/// Variables of an instance that waits, of about `bytes` bytes: half of it words, half digits, as documents are.
pub fn document(seed: u64, bytes: usize) -> String {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = format!("{{\"number\":{seed},\"positions\":[");
    while text.len() < bytes {
        // xorshift64*: this needs no more than not to be the same each time.
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        let drawn = random.wrapping_mul(0x2545_F491_4F6C_DD1D);
        text.push_str(&format!(
            "{{\"article\":\"{:016x}\",\"quantity\":{},\"currency\":\"EUR\"}},",
            drawn,
            drawn % 100
        ));
    }
    text.push_str("null]}");
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn documents_are_json_of_the_wanted_size_and_differ() {
        let text = document(7, 2_000);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert!((2_000..2_100).contains(&text.len()));
        assert_ne!(text, document(8, 2_000));
    }
}
