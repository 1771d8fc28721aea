//! A reader of pages that is stricter than a browser.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;

/// What is in a page.
#[derive(Debug, Default, PartialEq)]
pub struct Content {
    /// Text outside of tags, without style sheets, references resolved.
    pub text: String,
    /// Names of elements in their order.
    pub elements: Vec<String>,
    /// Sources of all images.
    pub images: Vec<String>,
}

/// Reads the page in the file `path`. Panics where an element is not closed, an attribute has no quotes, or something
/// outside of the page is named.
pub fn read(path: &Path) -> Content {
    parse(&std::fs::read_to_string(path).unwrap())
}

pub fn parse(html: &str) -> Content {
    let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let outside = body.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for reference in ["http:", "https:", "url(", "@import", "<script", "<link", "<iframe", "javascript:"] {
        assert!(!outside.contains(reference), "{reference} in a page that is to stand alone");
    }
    let (mut content, mut open, mut rest) = (Content::default(), Vec::new(), body);
    while let Some(start) = rest.find('<') {
        if open.last().map(String::as_str) != Some("style") {
            content.text.push_str(&resolved(&rest[..start]));
        }
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "elements close in the order in which they were opened");
            content.text.push('\n');
            continue;
        }
        let (tag, is_closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split_whitespace().next().unwrap().to_owned();
        for (attribute, value) in attributes(&tag[name.len()..]) {
            if attribute == "src" {
                assert!(value.starts_with("data:image/png;base64,"), "an image inside of the page, not {value}");
                content.images.push(value);
            } else {
                assert!(!["href", "onclick", "onload", "xlink:href"].contains(&attribute.as_str()), "{attribute}");
            }
        }
        content.elements.push(name.clone());
        if !is_closed {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    content
}

fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (value, rest) = rest.split_once('"').unwrap();
        found.push((name.trim().to_owned(), resolved(value)));
        text = rest;
    }
    assert!(text.trim().is_empty(), "{text}: attributes have quotes");
    found
}

fn resolved(text: &str) -> String {
    let references = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")];
    references.iter().fold(text.to_owned(), |text, (reference, letter)| text.replace(reference, letter))
}

/// Every plain value in `settings`, as text.
pub fn values(settings: &impl serde::Serialize) -> Vec<String> {
    plain(&serde_json::from_str(&serde_json::to_string(settings).unwrap()).unwrap())
}

fn plain(settings: &serde_json::Value) -> Vec<String> {
    match settings {
        serde_json::Value::Object(fields) => fields.values().flat_map(plain).collect(),
        serde_json::Value::Array(items) => items.iter().flat_map(plain).collect(),
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Number(number) => vec![number.to_string()],
        serde_json::Value::Null | serde_json::Value::Bool(_) => Vec::new(),
    }
}
