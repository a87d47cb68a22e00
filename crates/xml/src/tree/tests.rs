//! Hostile and broken documents.

use super::*;

fn refusal(document: &str) -> Limit {
    match tree(document) {
        Err(XmlError::Refused { limit, .. }) => limit,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn nested(depth: usize) -> String {
    "<a>".repeat(depth) + &"</a>".repeat(depth)
}

#[test]
fn nesting_is_refused_only_beyond_its_limit() {
    for depth in [XML_DEPTH_MAX - 1, XML_DEPTH_MAX] {
        tree(&nested(depth)).unwrap();
    }
    assert_eq!(refusal(&nested(XML_DEPTH_MAX + 1)), Limit::Depth);
}

#[test]
fn a_million_levels_are_refused_where_the_limit_is_passed() {
    let error = tree(&"<a>".repeat(1_000_000)).unwrap_err();
    let expected = "the XML is refused at line 1, column 301: more than 100 levels of nesting";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn closed_elements_do_not_count_as_nesting() {
    let flat = format!("<r>{}</r>", "<a x='1'/><b></b>".repeat(1000));
    tree(&flat).unwrap();
}

#[test]
fn attributes_of_an_element_are_limited() {
    let element = |count: usize| {
        let attributes: String = (0..count)
            .map(|number| format!(" a{number} = '<>'"))
            .collect();
        // A `<` in a value is no XML, and `>` must not end the tag for the scan.
        format!("<r{}/>", attributes.replace('<', ""))
    };
    tree(&element(XML_ATTRIBUTES_PER_ELEMENT_MAX)).unwrap();
    let beyond = element(XML_ATTRIBUTES_PER_ELEMENT_MAX + 1);
    assert_eq!(refusal(&beyond), Limit::AttributesOfElement);
}

#[test]
fn elements_are_limited() {
    let document = |count: usize| format!("<r>{}</r>", "<a/>".repeat(count - 1));
    tree(&document(XML_ELEMENTS_MAX)).unwrap();
    assert_eq!(refusal(&document(XML_ELEMENTS_MAX + 1)), Limit::Elements);
}

#[test]
fn all_attributes_are_limited() {
    let element = "<a a='' b='' c='' d='' e='' f=''/>";
    let document = |count: usize| format!("<r>{}</r>", element.repeat(count));
    tree(&document(XML_ATTRIBUTES_MAX / 6)).unwrap();
    assert_eq!(
        refusal(&document(XML_ATTRIBUTES_MAX / 6 + 1)),
        Limit::Attributes
    );
}

#[test]
fn namespaces_that_hold_at_one_place_are_limited() {
    let declare = |from: usize, count: usize| -> String {
        (from..from + count)
            .map(|number| format!(" xmlns:n{number}='u'"))
            .collect()
    };
    let half = XML_NAMESPACES_IN_SCOPE_MAX / 2;
    let document =
        |inner: usize| format!("<r{}><i{}/></r>", declare(0, half), declare(half, inner));
    tree(&document(half)).unwrap();
    assert_eq!(refusal(&document(half + 1)), Limit::NamespacesInScope);
}

#[test]
fn all_namespaces_are_limited() {
    let document = |count: usize| format!("<r>{}</r>", "<a xmlns='u'/>".repeat(count));
    tree(&document(XML_NAMESPACES_MAX)).unwrap();
    assert_eq!(
        refusal(&document(XML_NAMESPACES_MAX + 1)),
        Limit::Namespaces
    );
}

#[test]
fn a_document_type_declaration_is_refused_with_its_place() {
    let bomb = "<?xml version='1.0'?>\n <!DOCTYPE lol [<!ENTITY a 'aa'>]><r>&a;</r>";
    let error = tree(bomb).unwrap_err();
    assert_eq!(
        error,
        XmlError::Refused {
            at: TextPos::new(2, 2),
            limit: Limit::Dtd
        }
    );
}

#[test]
fn what_looks_like_markup_inside_of_comments_and_data_is_not_counted() {
    let inside = nested(XML_DEPTH_MAX + 1);
    let document = format!("<r><!-- {inside} <!DOCTYPE --><![CDATA[{inside}]]><?p {inside}?></r>");
    tree(&document).unwrap();
}

#[test]
fn a_column_counts_characters() {
    let error = tree("<r>\näöü<!DOCTYPE x>").unwrap_err();
    assert_eq!(
        error,
        XmlError::Refused {
            at: TextPos::new(2, 4),
            limit: Limit::Dtd
        }
    );
}

#[test]
fn the_parser_says_where_a_document_is_broken() {
    let error = tree("<a>\n  <b></c></a>").unwrap_err().to_string();
    assert!(error.contains("2:6"), "{error}");
    for broken in [
        "",
        "<",
        "<a",
        "<a b",
        "<a b='",
        "<!--",
        "<![CDATA[",
        "<?",
        "</",
        "text",
    ] {
        assert!(tree(broken).is_err(), "{broken}");
    }
}

#[test]
fn bytes_must_be_utf8_and_not_too_many() {
    assert_eq!(text(b"<a>\xff"), Err(XmlError::NotUtf8(3)));
    assert!(text(&vec![b' '; XML_BYTES_MAX]).is_ok());
    assert_eq!(
        text(&vec![b' '; XML_BYTES_MAX + 1]),
        Err(XmlError::TooLarge(XML_BYTES_MAX + 1))
    );
}
