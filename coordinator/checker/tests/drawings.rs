//! Drawings can be read: no box lies on another, no text leaves its box, the way back runs through no box. On all stories, and on what is hard to draw.

mod build;

use std::collections::BTreeMap;
use std::fs;

use build::{approve, call, calls, chain, until};
use sagaline_checker::{draw, plan};
use sagaline_definition::Definition;
use sagaline_definition::model::Word;
use sagaline_language::load;

/// A rectangle: left, top, right, bottom.
type Area = [f64; 4];

/// The value of an attribute.
fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let from = tag.find(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}")) + name.len() + 3;
    tag[from..].split('"').next().unwrap_or_default()
}

fn number(tag: &str, name: &str) -> f64 {
    attribute(tag, name).parse().unwrap_or_else(|error| panic!("{name} of {tag}: {error}"))
}

fn area(rect: &str) -> Area {
    let (x, y) = (number(rect, "x"), number(rect, "y"));
    [x, y, x + number(rect, "width"), y + number(rect, "height")]
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// The boxes, after a look at their texts.
fn boxes(svg: &str) -> Vec<Area> {
    let groups = svg.split("<g class=\"step\">").skip(1);
    groups.map(|group| group.split("</g>").next().unwrap_or_default()).map(with_its_texts).collect()
}

/// DejaVu Sans Bold has 0.7 of its size for a letter on average, 0.6 for one that is not bold.
fn with_its_texts(group: &str) -> Area {
    let of = area(group.lines().find(|line| line.starts_with("<rect class=\"box")).expect("a step has a box"));
    let mut seen = 0;
    for line in group.lines().filter(|line| line.starts_with("<text") && !line.contains("class=\"number\"")) {
        let text = line.split('>').nth(1).and_then(|text| text.strip_suffix("</text")).expect("a text");
        let text = text.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&").replace("&quot;", "\"");
        let (letter, size) = match attribute(line, "class") {
            "name" => (0.7, 14.0),
            "verb" => (0.6, 11.0),
            "mark" => (0.7, 10.0),
            other => panic!("a text of a box of class {other}"),
        };
        let (half, x, y) = (text.chars().count() as f64 * letter * size / 2.0, number(line, "x"), number(line, "y"));
        let room = [x - half - of[0], of[2] - x - half, y - size - of[1], of[3] - y];
        assert!(room.iter().all(|room| *room >= 2.0), "{text:?} leaves its box: {room:?}\n{group}");
        seen += 1;
    }
    assert!(seen >= 2, "a box says what its step is called, and what it does: {group}");
    of
}

/// The parts of the way back, each from corner to corner.
fn ways(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let paths = svg.lines().filter(|line| line.starts_with("<path class=\"back\""));
    let corner = |text: &str| {
        let (x, y) = text.split_once(' ').expect("a corner");
        (x.parse().expect("x"), y.parse().expect("y"))
    };
    paths.map(|path| attribute(path, "d").trim_start_matches('M').split('L').map(corner).collect()).collect()
}

/// Holds what can be held without eyes.
#[track_caller]
fn can_be_read(what: &str, svg: &str) {
    let boxes = boxes(svg);
    let root = svg.lines().next().expect("a drawing");
    let whole = [0.0, 0.0, number(root, "width"), number(root, "height")];
    for (at, one) in boxes.iter().enumerate() {
        assert!(boxes[at + 1..].iter().all(|other| !overlap(one, other)), "{what}: two boxes overlap");
        assert!(one[0] >= 10.0 && one[1] >= 60.0 && one[2] <= whole[2] - 10.0 && one[3] <= whole[3] - 10.0, "{what}");
    }
    for way in ways(svg) {
        for part in way.windows(2) {
            let ((a, b), (c, d)) = (part[0], part[1]);
            let line = [a.min(c), b.min(d), a.max(c), b.max(d)];
            assert!(line[2] <= whole[2] && line[3] <= whole[3], "{what}: the way back leaves the drawing");
            let inside = |area: &&Area| {
                let less = [area[0] + 1.0, area[1] + 1.0, area[2] - 1.0, area[3] - 1.0];
                line[0] <= less[2] && less[0] <= line[2] && line[1] <= less[3] && less[1] <= line[3]
            };
            assert_eq!(boxes.iter().find(inside), None, "{what}: the way back runs through a box: {way:?}");
        }
    }
}

#[test]
fn every_story_whichever_step_fails() {
    let examples = sagaline_test_sources::root().join("docs/examples");
    let mut drawn = 0;
    for folder in fs::read_dir(examples).expect("the examples can be read") {
        let folder = folder.expect("an entry").path();
        let loaded = load(&[&folder]).unwrap_or_else(|error| panic!("{error}"));
        let contracts = loaded.contracts.iter().map(|of| (of.participant.clone(), of.clone())).collect();
        for definition in loaded.definitions.values() {
            can_be_read(&definition.saga, &draw(definition, None));
            for (number, step) in definition.steps.iter().enumerate() {
                if let Some(plan) = plan(definition, &contracts, number) {
                    let what = format!("{} without {}", definition.saga, step.step);
                    can_be_read(&what, &draw(definition, Some(&plan)));
                    drawn += 1;
                }
            }
        }
    }
    assert!(drawn > 30, "{drawn} drawings");
}

/// With the plan for the step that fails.
fn failing(definition: &Definition, step: usize) -> String {
    let plan = plan(definition, &BTreeMap::new(), step).expect("it comes to that step");
    draw(definition, Some(&plan))
}

#[test]
fn long_names_and_conditions() {
    let name = "ask_the_warehouse_in_the_north_whether_it_has_what_was_ordered";
    let condition =
        "facts.address != null && facts.address.country == 'DE' && facts.status != 'cancelled' || input.total < 100";
    let definition = chain(vec![call(name), until("complete", condition, Word::Compensate), call("b")]);
    let svg = failing(&definition, 2);
    can_be_read("long names", &svg);
    assert!(svg.contains(&format!(">{name}</text>")), "a name is shown whole");
    assert!(
        svg.contains("…</text>") && svg.contains("input.total &lt; 100</title>"),
        "a condition is cut, and told whole"
    );
}

#[test]
fn branches_that_are_undone_crosswise() {
    let mut definition = calls(&["a", "b", "c", "d", "e", "f", "g"]);
    definition.steps.push(approve("people"));
    definition.steps[2].after = vec![0];
    definition.steps[3].after = vec![1];
    definition.steps[4].after = vec![2];
    definition.steps[5].after = vec![0];
    definition.steps[6].after = vec![3, 4, 5];
    definition.steps[7].after = vec![0];
    let svg = failing(&definition, 6);
    can_be_read("branches", &svg);
    let plan = plan(&definition, &BTreeMap::new(), 6).expect("it comes to g");
    assert_eq!(ways(&svg).len(), plan.undone.len() - 1, "from each step that is undone to the next");
}
