//! A page of Markdown, as far as it matters here: blocks of code, links, headings. It does not know
//! what they say.

use std::collections::BTreeSet;

/// A block of code.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// The page and the line it begins at.
    pub(crate) place: String,
    pub(crate) language: String,
    pub(crate) text: String,
}

/// What a page holds.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) links: Vec<String>,
    /// What its headings are called in links.
    pub(crate) anchors: BTreeSet<String>,
}

impl Page {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let mut page = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut open: Option<Block> = None;
        let mut prose = String::new();
        for (index, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, &mut open) {
                (Some(language), None) => {
                    open = Some(Block {
                        place: format!("{name}:{}", index + 1),
                        language: language.split(',').next().unwrap_or_default().to_owned(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (None, Some(block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {
                    if line.starts_with('#') {
                        page.anchors.insert(anchor(line));
                    }
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{name}: a block stays open");
        page.links = links(&prose);
        page
    }
}

/// What a heading is called in links: small letters, digits, dashes for spaces.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn links(prose: &str) -> Vec<String> {
    let after = prose.split("](").skip(1);
    let targets = after.filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn a_page_is_taken_apart() {
    let text = "# A `b`: c\n[x](y.md#z) and [more\nof it](w)\n\n```sh\na\n[n](m)\n```\n\
        ```rust,ignore\nb\n```\n## D e\n";
    let page = Page::new("p.md", text);
    let block = |place: &str, language: &str, text: &str| Block {
        place: place.to_owned(),
        language: language.to_owned(),
        text: text.to_owned(),
    };
    assert_eq!(
        page.blocks,
        [
            block("p.md:5", "sh", "a\n[n](m)\n"),
            block("p.md:9", "rust", "b\n")
        ]
    );
    assert_eq!(page.links, ["y.md#z", "w"]);
    let anchors: Vec<&str> = page.anchors.iter().map(String::as_str).collect();
    assert_eq!(anchors, ["a-b-c", "d-e"]);
}
