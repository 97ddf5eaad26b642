//! Layouts that can be used, layouts that cannot, and where the trouble is.

use ratatui::layout::Rect;

use super::{Layout, built_in};

fn findings(text: &str) -> Vec<String> {
    match Layout::read("try.yaml", text) {
        Ok(layout) => panic!("read as {layout:?}"),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

const HEAD: &str = "version: 1\nname: try\nmin: 100x30\n";

#[test]
fn all_built_in_layouts_can_be_used() {
    let names: Vec<String> = built_in().into_iter().map(|layout| layout.name).collect();
    assert_eq!(names, ["noc", "wall", "accounts", "compact", "policy", "node"]);
}

#[test]
fn panes_cover_the_screen_and_boxes_share_their_lines() {
    for layout in built_in() {
        for (width, height) in [layout.min, (100, 24), (160, 50), (200, 50)] {
            let screen = Rect::new(0, 0, width, height);
            let placed = layout.place(screen);
            for y in 0..height {
                for x in 0..width {
                    let covered = placed.iter().any(|one| one.area.contains((x, y).into()));
                    assert!(
                        covered,
                        "{} at {width}x{height} leaves {x},{y} empty",
                        layout.name
                    );
                }
            }
            for (one, other) in placed
                .iter()
                .enumerate()
                .flat_map(|(index, one)| placed.iter().skip(index + 1).map(move |other| (one, other)))
            {
                let shared = one.inside().intersection(other.inside());
                assert!(
                    shared.is_empty(),
                    "{:?} and {:?} overlap",
                    one.pane.kind,
                    other.pane.kind
                );
            }
        }
    }
}

#[test]
fn a_part_is_left_out_on_a_screen_smaller_than_it_asks_for() {
    let compact = built_in()
        .into_iter()
        .find(|layout| layout.name == "compact")
        .unwrap();
    let kinds = |width, height| -> Vec<&str> {
        let panes = compact.panes(Rect::new(0, 0, width, height)).into_iter();
        panes.map(|pane| pane.kind.word()).collect()
    };
    assert_eq!(kinds(60, 12), ["header", "links", "proposals", "footer"]);
    assert_eq!(kinds(80, 16), ["header", "links", "proposals", "footer"]);
    assert_eq!(kinds(60, 17), ["header", "links", "proposals", "log", "footer"]);
}

#[test]
fn a_part_that_comes_too_early_is_found_at_the_size_it_comes_at() {
    let text = "version: 1\nname: try\nmin: 80x8\nscreen:\n  rows:\n    - { pane: links }\n    - { pane: log, size: 5, from: 80x9 }\n";
    assert_eq!(
        findings(text),
        [
            "try.yaml:3:6: min: on a screen of 80x9, links has 78x3 cells inside and needs 58x4; \
          give it more room, or raise min"
        ]
    );
}

#[test]
fn a_screen_too_small_for_a_layout_places_panes_within_it_all_the_same() {
    for layout in built_in() {
        for width in 0..30 {
            for height in 0..12 {
                let screen = Rect::new(0, 0, width, height);
                for placed in layout.place(screen) {
                    assert_eq!(placed.area.intersection(screen).area(), placed.area.area());
                    assert!(placed.inside().area() <= placed.area.area());
                }
            }
        }
    }
}

#[test]
fn an_unknown_pane_is_named_with_its_place_and_the_known_ones() {
    let text = format!("{HEAD}screen:\n  rows:\n    - pane: header\n    - pane: lynx\n");
    let found = findings(&text);
    assert!(
        found[0].starts_with("try.yaml:7:13: screen.rows[1].pane: unknown variant `lynx`"),
        "{found:?}"
    );
    assert!(found[0].contains("`links`"), "{found:?}");
}

#[test]
fn an_unknown_field_is_named_with_its_place_and_the_known_ones() {
    let text = format!("{HEAD}screen:\n  pane: links\n  sise: 3\n");
    let found = findings(&text);
    assert!(found[0].starts_with("try.yaml:6:3: screen"), "{found:?}");
    assert!(
        found[0].contains("unknown field `sise`") && found[0].contains("`size`"),
        "{found:?}"
    );
}

#[test]
fn a_size_that_is_none_tells_what_would_be_one() {
    let text = format!("{HEAD}screen:\n  rows:\n    - {{ pane: links, size: much }}\n");
    assert_eq!(
        findings(&text),
        [
            "try.yaml:6:28: screen.rows[0].size: invalid value: string \"much\", \
          expected cells such as 6 (1 to 500), a share such as 30%, or fill"
        ]
    );
}

#[test]
fn troubles_of_meaning_come_all_at_once_each_with_its_place() {
    let text = "version: 2\nname: a b\nscreen:\n  rows:\n    - pane: log\n      size: 60%\n    - pane: log\n      \
                size: 60%\n    - rows: []\n      size: 1\n    - size: 3\n    - pane: nodes\n      show: [via]\n";
    assert_eq!(
        findings(text),
        [
            "try.yaml:1:10: version: 2 is not known; this program reads version 1",
            "try.yaml:2:7: name: use letters, digits, '-' and '_'",
            "try.yaml:7:13: screen.rows[1].pane: log is on the screen twice; take one away",
            "try.yaml:9:13: screen.rows[2].rows: is empty; put at least one pane into it",
            "try.yaml:11:7: screen.rows[3]: a part of the screen has exactly one of rows, columns and pane",
            "try.yaml:13:13: screen.rows[4].show: only the links pane has columns to choose",
            "try.yaml:5:5: screen.rows: the shares add up to 120%; at most 100% can be shared out",
        ]
    );
}

#[test]
fn a_pane_without_room_at_the_least_size_is_found_before_anybody_sees_it() {
    let text = "version: 1\nname: try\nmin: 80x24\nscreen:\n  rows:\n    - { pane: links }\n    - { pane: log, size: 3 }\n";
    assert_eq!(
        findings(text),
        [
            "try.yaml:3:6: min: on a screen of 80x24, log has 78x1 cells inside and needs 30x2; \
          give it more room, or raise min"
        ]
    );
}

#[test]
fn text_that_is_not_yaml_and_an_empty_file_are_found() {
    let found = findings("screen: {");
    assert!(
        found[0].contains("did not find expected node content, while parsing a flow node"),
        "{found:?}"
    );
    let found = findings("screen: [links]");
    assert!(
        found[0].contains("expected a part of the screen: rows, columns or a pane"),
        "{found:?}"
    );
    assert!(findings("")[0].starts_with("try.yaml:"));
}

#[test]
fn a_missing_file_tells_what_is_built_in() {
    let found = super::check(std::path::Path::new("/nowhere/at-all.yaml"));
    assert!(
        found[0]
            .to_string()
            .ends_with("built-in layouts are noc, wall, accounts, compact, policy and node"),
        "{}",
        found[0]
    );
}
