//! A page of HTML in one file: it names nothing outside of itself and runs no script.
//!
//! Text is escaped where it enters; images are PNG in base64, charts are SVG elements whose colours the style sheet
//! replaces in the dark (see [`Page::figures`]). Equal contents give equal bytes.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mindseye_interface::text::{MAX_PRINTABLE, printable};
use mindseye_interface::{Image, files};
use serde::Serialize;

use super::settings::flattened;
use crate::charts::{COLOURS, GRID};
use crate::png::encode_png;
use crate::{BAD, Error, FAINT, Figure, GOOD, INK, MUTED, PAPER, Result, Rgb};

/// Name of the page of a report, beside its images.
pub const FILE: &str = "report.html";

const STYLE: &str = include_str!("style.css");
/// Sides up to which images are enlarged with hard edges, pixels.
const SMALL: usize = 96;

/// Colours of charts on white, and the ones that take their place on black.
pub(super) const DARK: [(Rgb, Rgb); 13] = [
    (PAPER, [20, 23, 28]),
    (INK, [226, 229, 233]),
    (MUTED, [156, 163, 173]),
    (FAINT, [84, 91, 101]),
    (GRID, [44, 49, 57]),
    (COLOURS[0], [110, 166, 232]),
    (COLOURS[1], [240, 146, 64]),
    (GOOD, [70, 190, 124]),
    (BAD, [240, 112, 102]),
    (COLOURS[4], [178, 144, 224]),
    (COLOURS[5], [82, 200, 210]),
    (COLOURS[6], [200, 150, 138]),
    (COLOURS[7], [240, 140, 196]),
];

/// A number that a report begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The number with its unit.
    pub value: String,
    /// A line below: an interval, what it is of.
    pub detail: String,
}

/// A table: numbers and short words, aligned to the right, after columns of text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Headings of the columns.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
    /// The first columns that are text.
    pub text: usize,
}

/// An image of a strip.
#[derive(Debug, Clone)]
pub struct StripImage {
    /// What is written below it.
    pub label: String,
    /// The image.
    pub image: Image,
    /// Whether it is a goal or a prediction, and no image of the camera in this episode: it has another frame.
    pub is_other: bool,
}

/// Images side by side.
#[derive(Debug, Clone)]
pub struct Strip {
    /// Line above the images.
    pub caption: String,
    /// Whether the episode succeeded; none where that is not asked.
    pub reached: Option<bool>,
    /// Rows of images below each other.
    pub rows: Vec<Vec<StripImage>>,
}

/// A page being made, from top to bottom.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page of the command `verb`, with a title and a paragraph that says what was found.
    pub fn new(verb: &str, title: &str, lead: &str) -> Self {
        let mut page = Self { title: format!("{verb}: {title}"), body: String::new() };
        page.push(&format!("<header>\n<p class=\"verb\">{}</p>\n<h1>{}</h1>\n", shown(verb), shown(title)));
        page.push(&format!("<p class=\"lead\">{}</p>\n</header>\n", shown(lead)));
        page
    }

    /// A heading of a section.
    pub fn heading(&mut self, text: &str) {
        self.push(&format!("<h2>{}</h2>\n", shown(text)));
    }

    /// A heading within a section.
    pub fn subheading(&mut self, text: &str) {
        self.push(&format!("<h3>{}</h3>\n", shown(text)));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.push(&format!("<p>{}</p>\n", shown(text)));
    }

    /// A paragraph that is not to be overlooked.
    pub fn warning(&mut self, text: &str) {
        self.push(&format!("<p class=\"warning\">{}</p>\n", shown(text)));
    }

    /// The numbers that matter most, large and side by side.
    pub fn facts(&mut self, facts: &[Fact]) {
        self.push("<dl class=\"facts\">\n");
        for Fact { name, value, detail } in facts {
            let (name, value, detail) = (shown(name), shown(value), shown(detail));
            let value = format!("<dd class=\"value\">{value}</dd><dd>{detail}</dd>");
            self.push(&format!("<div><dt>{name}</dt>{value}</div>\n"));
        }
        self.push("</dl>\n");
    }

    /// A table; a wide one scrolls inside of its box.
    pub fn table(&mut self, table: &Table) {
        let cells = |cells: &[String], tag: &str| -> String {
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let class = if column < table.text { " class=\"text\"" } else { "" };
                format!("<{tag}{class}>{}</{tag}>", shown(cell))
            });
            cells.collect()
        };
        self.push("<div class=\"wide\" tabindex=\"0\"><table class=\"numbers\">\n");
        self.push(&format!("<thead><tr>{}</tr></thead>\n<tbody>\n", cells(&table.columns, "th")));
        for row in &table.rows {
            self.push(&format!("<tr>{}</tr>\n", cells(row, "td")));
        }
        self.push("</tbody></table></div>\n");
    }

    /// Names and values below each other.
    pub fn values(&mut self, rows: &[(String, String)]) {
        self.push("<div class=\"wide\" tabindex=\"0\"><table class=\"settings\"><tbody>\n");
        for (name, value) in rows {
            // Long names have no blanks at which a narrow page could break them.
            let name = shown(name).replace('.', ".<wbr />").replace('_', "_<wbr />");
            self.push(&format!("<tr><th>{name}</th><td>{}</td></tr>\n", shown(value)));
        }
        self.push("</tbody></table></div>\n");
    }

    /// Every field of `settings` with its value, fields of fields as `outer.inner`.
    ///
    /// # Errors
    /// [`Error::Data`] when they have no JSON.
    pub fn settings(&mut self, settings: &impl Serialize) -> Result<()> {
        self.values(&flattened(settings)?);
        Ok(())
    }

    /// A text that is to be copied: a command.
    pub fn code(&mut self, text: &str) {
        self.push(&format!("<pre class=\"wide\" tabindex=\"0\"><code>{}</code></pre>\n", shown(text)));
    }

    /// Charts side by side, as many as fit.
    pub fn figures(&mut self, figures: &[Figure]) {
        self.push("<div class=\"figures\">\n");
        for Figure { title, titles: [across, upward], legend, svg } in figures {
            self.push(&format!("<figure class=\"chart\">\n<figcaption>{}</figcaption>\n", shown(title)));
            if !legend.is_empty() {
                self.push("<ul class=\"legend\">");
                for (name, rgb) in legend {
                    let swatch = format!(
                        "<svg viewBox=\"0 0 14 14\"><rect width=\"14\" height=\"14\" fill=\"{}\" /></svg>",
                        hex(*rgb)
                    );
                    self.push(&format!("<li>{swatch}{}</li>", shown(name)));
                }
                self.push("</ul>\n");
            }
            if !upward.is_empty() {
                self.push(&format!("<p class=\"axis\">{}</p>\n", shown(upward)));
            }
            // A screen reader has the title in place of lines and ticks.
            self.push(&svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", shown(title)), 1));
            self.push(&format!("<p class=\"axis across\">{}</p>\n</figure>\n", shown(across)));
        }
        self.push("</div>\n");
    }

    /// Images side by side; a wide strip scrolls inside of its box.
    ///
    /// # Errors
    /// When an image cannot be encoded.
    pub fn strip(&mut self, strip: &Strip) -> Result<()> {
        let class = strip.reached.map_or("", |reached| if reached { " reached" } else { " missed" });
        self.push(&format!("<figure class=\"strip{class}\">\n<figcaption>{}</figcaption>\n", shown(&strip.caption)));
        self.push("<div class=\"wide\" tabindex=\"0\">\n");
        for row in &strip.rows {
            self.push("<ol>\n");
            for StripImage { label, image, is_other } in row {
                let class = if *is_other { " class=\"other\"" } else { "" };
                self.push(&format!("<li{class}>{}<span>{}</span></li>\n", element(image, label)?, shown(label)));
            }
            self.push("</ol>\n");
        }
        self.push("</div>\n</figure>\n");
        Ok(())
    }

    /// The page: one document.
    pub fn html(&self) -> String {
        let mut html = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n");
        html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n");
        html.push_str("<meta name=\"color-scheme\" content=\"light dark\" />\n");
        let _ = writeln!(html, "<title>{}</title>", shown(&self.title)); // writing to a string cannot fail
        let _ = writeln!(html, "<style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>", dark_charts());
        html.push_str(&self.body);
        let _ = writeln!(html, "<footer>mindseye {}</footer>\n</main>\n</body>\n</html>", env!("CARGO_PKG_VERSION"));
        html
    }

    /// Writes the page to `path`, whole or not at all, into a folder that is there: one that was moved away while the
    /// page was drawn is not made anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let written = files::write_whole(path, self.html().as_bytes());
        written.map_err(|error| Error::write(path, error))
    }

    fn push(&mut self, html: &str) {
        self.body.push_str(html);
    }
}

/// `image` as an element.
fn element(image: &Image, alternative: &str) -> Result<String> {
    let (size, png) = (image.size(), STANDARD.encode(encode_png(image, Path::new(FILE))?));
    let class = if size.width().max(size.height()) <= SMALL { " class=\"small\"" } else { "" };
    let sides = format!("width=\"{}\" height=\"{}\"", size.width(), size.height());
    Ok(format!("<img{class} {sides} alt=\"{}\" src=\"data:image/png;base64,{png}\" />", shown(alternative)))
}

/// `text` as HTML shows it: without characters that act on the page or on its reader, and whole.
fn shown(text: &str) -> String {
    let (mut html, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let end = rest.char_indices().nth(MAX_PRINTABLE).map_or(rest.len(), |(end, _)| end);
        let (part, others) = rest.split_at(end);
        for letter in printable(part).chars() {
            match letter {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                letter => html.push(letter),
            }
        }
        rest = others;
    }
    html
}

/// A colour as plotters writes it.
fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Rules that replace the colours of charts where a reader prefers dark pages.
fn dark_charts() -> String {
    let mut rules = String::from("@media (prefers-color-scheme: dark) {\n");
    for (light, dark) in DARK {
        let (light, dark) = (hex(light), hex(dark));
        for property in ["fill", "stroke"] {
            let _ = writeln!(rules, "  svg [{property}=\"{light}\"] {{ {property}: {dark}; }}"); // cannot fail
        }
    }
    rules + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CURVE;

    #[test]
    fn every_colour_of_a_chart_has_one_for_dark_pages() {
        let known: Vec<Rgb> = DARK.iter().map(|(light, _)| *light).collect();
        for colour in COLOURS.iter().chain(&[INK, MUTED, FAINT, GRID, GOOD, BAD, CURVE]) {
            assert!(known.contains(colour), "{colour:?}");
        }
    }

    #[test]
    fn long_text_is_shown_whole_and_harmless() {
        let text = format!("{}<b>&\"'\u{202e}", "a".repeat(2 * MAX_PRINTABLE));
        let html = shown(&text);
        assert!(html.ends_with("a&lt;b&gt;&amp;&quot;&#39;\\u{202e}"), "{}", &html[html.len() - 60..]);
        assert_eq!(html.chars().filter(|letter| *letter == 'a').count(), 2 * MAX_PRINTABLE + 1, "one is in &amp;");
    }
}
