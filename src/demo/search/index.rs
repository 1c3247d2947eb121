//! Where in the documentation is the answer?
//!
//! Each page is split at its headings; sections are ranked with BM25. A section's address depends on nothing but the
//! name of its page and its heading, so that it stays the same from one build to the next.

use std::collections::HashSet;

use bm25::{Document, Language, SearchEngine, SearchEngineBuilder};

/// Headings below this level stay inside their section.
const MAX_LEVEL: usize = 3;
const SNIPPET_CHARS: usize = 240;

/// A part of a page, from one heading to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `docs://page` for what comes before the first subheading, else `docs://page/heading`.
    pub(super) uri: String,
    /// Page and heading, for people.
    pub(super) title: String,
    /// The text with its heading, as Markdown.
    pub(super) text: String,
}

/// A section that matches a query.
pub(super) struct Hit<'a> {
    pub(super) section: &'a Section,
    pub(super) snippet: String,
    pub(super) score: f32,
}

/// All sections and the search engine over them.
pub(super) struct Index {
    sections: Vec<Section>,
    engine: SearchEngine<usize>,
}

impl Index {
    /// Builds the index over pages given as slug and Markdown text.
    pub(super) fn new<'a>(pages: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let sections: Vec<Section> = pages.into_iter().flat_map(|(slug, text)| split(slug, text)).collect();
        let documents = sections.iter().enumerate().map(|(id, section)| {
            // The title once more: a word in a heading says more than one in the text.
            Document::new(id, format!("{}\n{}", section.title, section.text))
        });
        let engine = SearchEngineBuilder::with_documents(Language::English, documents).build();
        Self { sections, engine }
    }

    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(super) fn section(&self, uri: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.uri == uri)
    }

    /// The `limit` best sections, best first.
    pub(super) fn search(&self, query: &str, limit: usize) -> Vec<Hit<'_>> {
        let ranked = self.engine.search(query, limit).into_iter();
        ranked
            .filter_map(|result| Some((self.sections.get(result.document.id)?, result.score)))
            .map(|(section, score)| Hit { section, snippet: snippet(&section.text, query), score })
            .collect()
    }
}

fn split(page: &str, markdown: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut taken = HashSet::new();
    let mut page_title = page.to_owned();
    let mut in_code = false;
    for line in markdown.lines() {
        in_code ^= line.trim_start().starts_with("```");
        match heading(line).filter(|_| !in_code) {
            Some((1, title)) if sections.is_empty() => {
                page_title = title.to_owned();
                sections.push(section(format!("docs://{page}"), title.to_owned()));
            }
            Some((_, title)) => {
                let uri = format!("docs://{page}/{}", unique(slug(title), &mut taken));
                sections.push(section(uri, format!("{page_title} › {title}")));
            }
            None if sections.is_empty() => {
                sections.push(section(format!("docs://{page}"), page_title.clone()))
            }
            None => {}
        }
        if let Some(current) = sections.last_mut() {
            current.text.push_str(line);
            current.text.push('\n');
        }
    }
    sections.retain(|section| !section.text.trim().is_empty());
    sections
}

fn section(uri: String, title: String) -> Section {
    Section { uri, title, text: String::new() }
}

/// Level and text of a heading such as `## Quickstart`.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let title = line.get(level..)?.strip_prefix(' ')?.trim().trim_end_matches('#').trim_end();
    ((1..=MAX_LEVEL).contains(&level) && !title.is_empty()).then_some((level, title))
}

/// Lower-case letters and digits, everything else as single hyphens.
pub(super) fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    if slug.is_empty() { "section".to_owned() } else { slug }
}

fn unique(slug: String, taken: &mut HashSet<String>) -> String {
    let numbered = (2_usize..).map(|n| format!("{slug}-{n}"));
    let free =
        std::iter::once(slug.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(slug);
    taken.insert(free.clone());
    free
}

/// The line with the most words of the query, shortened.
fn snippet(text: &str, query: &str) -> String {
    let words: Vec<String> = query.split_whitespace().map(stem).collect();
    let matching = |line: &str| {
        let line = line.to_lowercase();
        words.iter().filter(|word| line.contains(word.as_str())).count()
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && heading(line).is_none());
    // `rev`, because of equal lines the last one wins and the first is the better one to show.
    let best = lines.rev().max_by_key(|line| matching(line)).or(text.lines().next());
    shorten(best.unwrap_or_default())
}

/// Close enough to find "restarts" for "restarting" in a line that is already known to be relevant.
fn stem(word: &str) -> String {
    let word = word.to_lowercase();
    let kept = if word.chars().count() > 6 { 5 } else { 6 };
    word.chars().take(kept).collect()
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(SNIPPET_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GUIDE: &str = "# Guide\n\nHow to begin.\n\n## Install\n\n```sh\n# not a heading\nmake\n```\n\n\
                         ## Breakers\n\nA circuit breaker trips after five failures.\n\n#### Detail\n\nMore.\n\n\
                         ## Install\n\nAgain.\n";

    fn uris(index: &Index) -> Vec<&str> {
        index.sections().iter().map(|section| section.uri.as_str()).collect()
    }

    #[test]
    fn each_heading_outside_of_code_opens_a_section_with_an_address_of_its_own() {
        let index = Index::new([("guide", GUIDE)]);
        let expected =
            ["docs://guide", "docs://guide/install", "docs://guide/breakers", "docs://guide/install-2"];
        assert_eq!(uris(&index), expected);
        let install = index.section("docs://guide/install").unwrap();
        assert_eq!(install.title, "Guide › Install");
        assert!(install.text.contains("# not a heading"));
    }

    #[test]
    fn no_line_of_a_page_is_lost() {
        let joined: String = split("guide", GUIDE).into_iter().map(|section| section.text).collect();
        assert_eq!(joined, GUIDE);
        assert_eq!(split("bare", "just text\n")[0].uri, "docs://bare");
    }

    #[test]
    fn the_section_about_the_query_comes_first_and_shows_why() {
        let index = Index::new([("guide", GUIDE)]);
        let hits = index.search("when do circuit breakers trip", 5);
        assert_eq!(hits[0].section.uri, "docs://guide/breakers");
        assert_eq!(hits[0].snippet, "A circuit breaker trips after five failures.");
        assert!(hits[0].score > 0.0);
        assert!(index.search("zeppelin", 5).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let cut = shorten(&"ü".repeat(SNIPPET_CHARS + 1));
        assert_eq!(cut.chars().count(), SNIPPET_CHARS + 1);
        assert!(cut.ends_with('…'));
    }
}
