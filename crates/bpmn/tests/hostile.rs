//! Damaged and hostile documents end in a rejection, whatever they hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use skep_bpmn::model::ElementKind;
use skep_bpmn::parse;

/// A small generator with a seed (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

const PIECES: &[&[u8]] = &[
    b"<",
    b">",
    b"/>",
    b"\"",
    b"=",
    b"==",
    b"\xff",
    b"&",
    b"&#x0;",
    b"id=\"x\"",
    b"<bpmn:task id='n'/>",
    b"<bpmn:subProcess>",
    b"</bpmn:subProcess>",
    b"<!--",
    b"<![CDATA[",
    b"99999999999999999999",
    b"",
    b"sourceRef=\"",
    b"R/PT0S",
    b"* * * * * *",
    b"\xc3\xa4",
    b"<bpmn:endEvent/>",
    b"true",
];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.next(4) {
        let at = random.next(bytes.len());
        let length = random.next(40).min(bytes.len() - at);
        let replacement = match random.next(3) {
            0 => PIECES[random.next(PIECES.len())].to_vec(),
            1 => {
                let from = random.next(bytes.len());
                bytes[from..(from + random.next(300)).min(bytes.len())].to_vec()
            }
            _ => Vec::new(),
        };
        bytes.splice(at..at + length, replacement);
        if bytes.is_empty() {
            bytes.push(b'<');
        }
    }
}

const VALUES: &[&str] = &[
    "",
    "=",
    "=x",
    "= 1 +",
    "p",
    "s",
    "e",
    "work",
    "true",
    "false",
    "a.b",
    "PT1S",
    "R/PT0S",
    "-1",
    "io.camunda.zeebe:x",
    "x:y",
    "null",
];

/// Changes the value of an attribute, or takes away or repeats a line: mostly this stays XML, so that
/// rules and compiler see it.
fn rearrange(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random.next(2) {
        let at = random.next(lines.len());
        let parts: Vec<&str> = lines[at].split('"').collect();
        if parts.len() > 2 && random.next(3) > 0 {
            let chosen = 1 + 2 * random.next(parts.len() / 2);
            let other = &lines[random.next(lines.len())];
            let value = match random.next(2) {
                0 => VALUES[random.next(VALUES.len())],
                _ => other.split('"').nth(1).unwrap_or(""),
            };
            let mut changed = parts.clone();
            changed[chosen] = value;
            lines[at] = changed.join("\"");
        } else if lines[at].contains("/>") || lines[at].contains("</") {
            let line = lines.remove(at);
            for _ in 0..random.next(3) {
                lines.insert(random.next(lines.len()), line.clone());
            }
        }
    }
    lines.join("\n")
}

#[test]
fn damaged_models_are_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/bpmn");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    names.sort();
    let (mut read, mut refused) = (0, 0);
    for (seed, name) in (1..).zip(&names) {
        let model = fs::read(name).unwrap();
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        for round in 0..30 {
            let mut damaged = model.clone();
            if round % 3 == 0 {
                mutate(&mut damaged, &mut random);
            } else {
                damaged = rearrange(&String::from_utf8_lossy(&model), &mut random).into_bytes();
            }
            match parse("damaged.bpmn", &damaged) {
                Ok(_) => read += 1,
                Err(rejection) => {
                    assert!(rejection.to_string().starts_with("'damaged.bpmn': "));
                    refused += 1;
                }
            }
        }
    }
    // Both ways are taken often, so that the damage is neither too small nor too great.
    assert!(
        read > 200 && refused > 200,
        "{read} read, {refused} refused"
    );
}

fn process(content: &str) -> String {
    format!(
        "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL'>\
         <process id='p' isExecutable='true'><startEvent id='s'/>{content}</process></definitions>"
    )
}

#[test]
fn a_million_levels_and_a_document_type_are_refused_with_their_place() {
    let deep = process(&"<subProcess>".repeat(300_000));
    let text = parse("deep.bpmn", deep.as_bytes()).unwrap_err().to_string();
    assert!(
        text.contains("line 1, column") && text.contains("levels of nesting"),
        "{text}"
    );
    let bomb = "<!DOCTYPE l [<!ENTITY a 'b'>]><l>&a;</l>";
    let text = parse("bomb.bpmn", bomb.as_bytes()).unwrap_err().to_string();
    assert!(text.contains("DOCTYPE"), "{text}");
}

#[test]
fn sub_processes_may_be_nested_as_deep_as_xml() {
    let mut content = String::new();
    for level in 0..95 {
        content += &format!("<subProcess id='u{level}'><startEvent id='s{level}'/>");
    }
    let nested = process(&(content + &"</subProcess>".repeat(95)));
    let process = parse("nested.bpmn", nested.as_bytes()).unwrap().remove(0);
    assert_eq!(process.elements.len(), 2 + 2 * 95);
}

/// The largest process, all of it wrong: everything about it must stay linear.
#[test]
fn many_elements_and_many_problems_are_listed_up_to_a_limit() {
    let tasks: String = (0..19_000)
        .map(|number| format!("<serviceTask id='t{number}'/>"))
        .collect();
    let text = parse("many.bpmn", process(&tasks).as_bytes())
        .unwrap_err()
        .to_string();
    assert_eq!(text.matches("ERROR").count(), 100);
    let more: String = (0..21_000)
        .map(|number| format!("<task id='t{number}'/>"))
        .collect();
    let text = parse("more.bpmn", process(&more).as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("p\n    - ERROR: has more than 20000 elements"),
        "{text}"
    );
}

/// One definition of a megabyte that ten thousand events refer to is kept once.
#[test]
fn what_many_events_refer_to_is_kept_once() {
    let name = "m".repeat(1_000_000);
    let tasks: String = (0..10_000)
        .map(|number| format!("<receiveTask id='r{number}' messageRef='m'/>"))
        .collect();
    let message = format!(
        "<message id='m' name='{name}'><extensionElements><z:subscription \
         xmlns:z='http://camunda.org/schema/zeebe/1.0' correlationKey='=k'/></extensionElements>\
         </message><process"
    );
    let xml = process(&tasks).replace("<process", &message);
    let process = parse("shared.bpmn", xml.as_bytes()).unwrap().remove(0);
    let names = process
        .elements
        .iter()
        .filter_map(|element| match &element.kind {
            ElementKind::ReceiveTask(message) => message.name.as_static(),
            _ => None,
        });
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), 10_000);
    assert!(names.iter().all(|name| Arc::ptr_eq(name, names[0])));
}
