//! `kohort demo`.

use crate::process::stdout_of;

#[test]
fn the_demo_reads_every_flight_once_and_shows_three_assignments() {
    let shown = stdout_of(&["demo"]);
    // The file has 2,000 lines with 155 different airports of origin.
    assert_eq!(
        shown.lines().last(),
        Some("OK: 2000 records, 155 keys, 0 missing, 0 doubled")
    );
    assert_eq!(
        shown
            .lines()
            .filter(|line| line.contains("partitions  records so far"))
            .count(),
        3
    );
    assert!(!shown.contains('\u{1b}'), "no colours in a pipe");
}
