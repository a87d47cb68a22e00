use std::sync::Arc;

use skep_protocol::{Key, values};

use super::content::Content;
use crate::definitions::{Definition, Definitions};
use crate::tables::processes;

fn deployed(content: &mut Content, key: i64, bytes: usize) {
    let xml = format!(
        r#"<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="p{key}" isExecutable="true"><startEvent id="s"/></process></definitions>"#
    );
    let padding = "x".repeat(bytes.saturating_sub(xml.len() + "<!---->".len()));
    processes::insert_resource(
        content,
        Key(key),
        "p.bpmn",
        format!("{xml}<!--{padding}-->").as_bytes(),
        1,
    );
    let definition = values::Process {
        bpmn_process_id: format!("p{key}"),
        version: 1,
        process_definition_key: key,
        resource_name: "p.bpmn".to_owned(),
        deployment_key: key,
        ..Default::default()
    };
    processes::insert(content, &definition).unwrap();
}

fn process(definitions: &mut Definitions, content: &Content, key: i64) -> Arc<Definition> {
    definitions.process(content, Key(key)).unwrap().unwrap()
}

#[test]
fn a_definition_is_found_by_key_by_id_and_by_version() {
    let mut content = Content::default();
    deployed(&mut content, 7, 0);
    let mut definitions = Definitions::default();
    assert_eq!(&*process(&mut definitions, &content, 7).id, "p7");
    assert_eq!(
        definitions.latest(&content, "p7").unwrap().unwrap().key,
        Key(7)
    );
    assert_eq!(
        definitions
            .version(&content, "p7", 1)
            .unwrap()
            .unwrap()
            .version,
        1
    );
    assert!(definitions.version(&content, "p7", 2).unwrap().is_none());
    assert!(definitions.latest(&content, "p8").unwrap().is_none());
    assert!(definitions.process(&content, Key(8)).unwrap().is_none());
}

#[test]
fn what_is_used_stays_compiled_and_the_rest_makes_room() {
    let bytes = 1000;
    let mut content = Content::default();
    for key in 1..=4 {
        deployed(&mut content, key, bytes);
    }
    for (processes_max, resource_bytes_max) in [(3, usize::MAX), (100, 3 * bytes)] {
        let mut definitions = Definitions::new(processes_max, resource_bytes_max);
        let first: Vec<_> = (1..=3)
            .map(|key| process(&mut definitions, &content, key))
            .collect();
        let again = process(&mut definitions, &content, 1);
        assert!(Arc::ptr_eq(&first[0], &again), "it was compiled once");
        process(&mut definitions, &content, 4);
        let kept = process(&mut definitions, &content, 1);
        assert!(Arc::ptr_eq(&first[0], &kept), "it had been used");
        let compiled_again = process(&mut definitions, &content, 2);
        assert!(!Arc::ptr_eq(&first[1], &compiled_again), "it had made room");
    }
}

#[test]
fn a_process_larger_than_all_room_is_compiled_nevertheless() {
    let mut content = Content::default();
    deployed(&mut content, 1, 1000);
    let mut definitions = Definitions::new(3, 10);
    for _ in 0..2 {
        process(&mut definitions, &content, 1);
    }
}
