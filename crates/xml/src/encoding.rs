//! From bytes to text: UTF-8, and the other encodings that XML parsers of modelling tools know.
//!
//! Invariant: bytes are what their byte order mark says, else what their declaration says, else UTF-8; what is not valid in that
//! encoding is refused.

use std::borrow::Cow;

use crate::XmlError;

/// How far a declaration is looked for.
const DECLARATION_BYTES_MAX: usize = 256;

/// Characters of the bytes 0x80 to 0x9F in Windows-1252; the five that it does not define are control characters, as elsewhere.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reads the text of a resource.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        [b'<', 0, b'?', 0, ..] => return utf16(bytes, u16::from_le_bytes),
        [0, b'<', 0, b'?', ..] => return utf16(bytes, u16::from_be_bytes),
        _ => {}
    }
    match declared(bytes).to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => utf8(bytes).map(Cow::Borrowed),
        "iso-8859-1" | "latin1" | "iso_8859-1" => {
            Ok(bytes.iter().copied().map(char::from).collect())
        }
        "windows-1252" | "cp1252" => Ok(bytes.iter().copied().map(windows_1252).collect()),
        other => Err(XmlError::Encoding(crate::quote(other))),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, XmlError> {
    std::str::from_utf8(bytes).map_err(|error| XmlError::NotUtf8(error.valid_up_to()))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, XmlError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let decoded: Result<String, _> =
        char::decode_utf16(pairs.iter().map(|&pair| unit(pair))).collect();
    match decoded {
        Ok(text) if rest.is_empty() => Ok(Cow::Owned(text)),
        _ => Err(XmlError::NotUtf16),
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The encoding in the XML declaration; nothing if it names none.
fn declared(bytes: &[u8]) -> &str {
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    let head = match std::str::from_utf8(head) {
        Ok(head) => head,
        // Up to where it is no ASCII any more, which is behind the declaration.
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    let declaration = head
        .strip_prefix('\u{feff}')
        .unwrap_or(head)
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
        .map_or("", |(declaration, _)| declaration);
    let value = declaration
        .split_once("encoding")
        .and_then(|(_, rest)| rest.trim_start().strip_prefix('='))
        .map_or("", str::trim_start);
    let mut parts = value.split(['"', '\'']);
    parts.nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "<?xml version=\"1.0\" encoding=\"ENCODING\"?><a name=\"Größe\"/>";

    fn read(bytes: &[u8]) -> Result<String, XmlError> {
        let text = decode(bytes)?;
        let tree = crate::tree(&text)?;
        Ok(tree
            .root_element()
            .attribute("name")
            .unwrap_or_default()
            .to_owned())
    }

    fn declaring(encoding: &str) -> String {
        MODEL.replace("ENCODING", encoding)
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let size = Ok("Größe".to_owned());
        assert_eq!(read(declaring("UTF-8").as_bytes()), size);
        assert_eq!(
            read(format!("\u{feff}{}", declaring("utf-8")).as_bytes()),
            size
        );
        for encoding in ["ISO-8859-1", "windows-1252"] {
            let bytes: Vec<u8> = declaring(encoding).chars().map(|char| char as u8).collect();
            assert_eq!(read(&bytes), size, "{encoding}");
        }
        let text = declaring("UTF-16");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&little), size);
        assert_eq!(read(&big), size);
        assert_eq!(read(&[&[0xff, 0xfe][..], &little].concat()), size);
        assert_eq!(read(&[&[0xfe, 0xff][..], &big].concat()), size);
    }

    #[test]
    fn windows_has_characters_of_its_own() {
        let text = declaring("windows-1252").replace("Größe", "EURO");
        let at = text.find("EURO").unwrap();
        let mut bytes = text.into_bytes();
        bytes.splice(at..at + 4, [0x80, 0x96]);
        assert_eq!(read(&bytes), Ok("€–".to_owned()));
    }

    #[test]
    fn what_is_not_valid_or_not_known_is_refused() {
        assert_eq!(read(b"<a>\xff</a>"), Err(XmlError::NotUtf8(3)));
        assert_eq!(read(b"\xff\xfe<\0a"), Err(XmlError::NotUtf16));
        assert_eq!(read(b"\xff\xfe<\0\x00\xd8"), Err(XmlError::NotUtf16));
        let unknown = read(declaring("Shift_JIS").as_bytes());
        assert_eq!(unknown, Err(XmlError::Encoding("shift_jis".to_owned())));
    }
}
