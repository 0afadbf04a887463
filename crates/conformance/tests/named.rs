//! That the tests are there which the documents name. A name is a code span such as `module::name`, `path/file.rs::name` or, with the
//! module or file named before it on the same line, `…::name`; a name that ends with `…` is the beginning of one, `*` is all of a module.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path below the project without `.rs`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Whether it is what a document calls `place`: the end of its path, or of that of a folder which it is in.
    fn is_at(&self, place: &str) -> bool {
        let (place, path) = (format!("/{place}/"), format!("/{}/", self.path));
        path.contains(&place)
    }

    fn has(&self, name: &str) -> bool {
        let whole = format!("fn {name}(");
        let begun = name.strip_suffix('…').map(|begun| format!("fn {begun}"));
        name == "*" || self.text.contains(begun.as_ref().unwrap_or(&whole))
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

/// What stands for several, as `tests/{one,two}.rs`.
fn each_of(place: &str) -> Vec<String> {
    let Some((before, rest)) = place.split_once('{') else {
        return vec![place.to_owned()];
    };
    let (choices, after) = rest.split_once('}').expect("a closing brace");
    let each = |choice| format!("{before}{choice}{after}");
    choices.split(',').map(each).collect()
}

fn is_name_of_a_test(name: &str) -> bool {
    let letters = name.strip_suffix('…').unwrap_or(name);
    name == "*"
        || letters.contains('_')
            && letters
                .chars()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("a source file"),
        path: path
            .strip_prefix(&root)
            .expect("below the project")
            .with_extension("")
            .display()
            .to_string(),
    };
    let sources: Vec<_> = files(&root.join("crates"), "rs")
        .into_iter()
        .map(source)
        .collect();
    let (mut named, mut missing) = (0, Vec::new());
    for document in files(&root.join("docs"), "md") {
        let text = fs::read_to_string(&document).expect("a document");
        for line in text.lines() {
            let mut last = None;
            for span in line.split('`').skip(1).step_by(2) {
                let Some((place, name)) = span.rsplit_once("::") else {
                    continue;
                };
                let is_type = place.contains(|it: char| it.is_ascii_uppercase() || it == '(');
                if is_type || !is_name_of_a_test(name) {
                    continue;
                }
                if place != "…" {
                    last = Some(place);
                }
                let place = last.unwrap_or_else(|| panic!("{span} in {document:?} has no module before it"));
                let place = place.trim_start_matches("…/").replace("::", "/");
                let is_there = each_of(&place).iter().any(|place| {
                    let place = place.trim_end_matches(".rs");
                    sources
                        .iter()
                        .any(|source| source.is_at(place) && source.has(name))
                });
                named += 1;
                if !is_there {
                    missing.push(format!("{span} in {}", document.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 300, "only {named} names were understood");
}
