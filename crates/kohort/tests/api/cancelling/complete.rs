//! Whether these tests call every function whose future can be dropped. That they drop it they show themselves.

use std::fs;
use std::path::{Path, PathBuf};

fn files(under: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(under).expect("it is in the package") {
        let path = entry.expect("it can be read").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files
}

/// The public async functions in a source file.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    let after = source.split("pub async fn ").skip(1);
    after.filter_map(|rest| rest.split(['(', '<']).next())
}

#[test]
fn each_public_async_function_is_called_by_one_of_these_tests() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("it is text");
    let tests = |named: &[&str]| {
        let of_name = |name: &&str| read(&package.join("tests/api/cancelling").join(name));
        named.iter().map(of_name).collect::<String>()
    };
    let places = [
        ("src/admin", tests(&["administering.rs"])),
        ("src/producer", tests(&["producing.rs"])),
        ("src/consumer/listener.rs", tests(&["diary.rs"])),
        (
            "src/consumer",
            tests(&["commits.rs", "leaving.rs", "polls.rs", "questions.rs"]),
        ),
    ];
    let mut count = 0;
    for path in files(&package.join("src")) {
        let source = read(&path);
        for function in functions(&source) {
            let place = places
                .iter()
                .find(|(place, _)| path.starts_with(package.join(place)));
            let (_, tests) = place.unwrap_or_else(|| panic!("{}: nobody looks there", path.display()));
            let call = format!(".{function}(");
            assert!(tests.contains(&call), "{}: {function}", path.display());
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
