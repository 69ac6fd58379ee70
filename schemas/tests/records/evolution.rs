//! Schemas in print, and their evolution. `UPDATE=1` prints `avro/*.avsc` anew. A release is made by `UPDATE_RELEASED=v1` with the test
//! `a_release_is_written_on_demand`, then its name is added to `releases!` in src/released.rs; a folder that exists is never written again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use apache_avro::types::Value;
use sagaline_schemas::proof::{Key, open, open_older};
use sagaline_schemas::record::{Answer, Body, Failed, Fault};
use sagaline_schemas::released::{Evolution, RELEASES, TranslateError};
use sagaline_schemas::schema::{COMMAND, EVENT, INBOX, PARKED, TopicSchema, fingerprint};
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{LogId, Mac, avro_record};
use serde_json::{Value as Json, json};

use super::arbitrary;

fn topics() -> [&'static TopicSchema; 4] {
    [&INBOX, &COMMAND, &EVENT, &PARKED]
}

fn folder(name: &str) -> PathBuf {
    sagaline_test_sources::root().join("schemas").join(name)
}

#[test]
fn the_printed_schemas_are_those_of_the_types() {
    for topic in topics() {
        let file = folder("avro").join(format!("{}.avsc", topic.name));
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(folder("avro")).unwrap();
            fs::write(&file, topic.printed()).unwrap();
        }
        let printed = fs::read_to_string(&file).unwrap();
        assert_eq!(printed, topic.printed(), "{}: UPDATE=1 prints it anew", file.display());
        let parsed = Schema::parse_str(&printed).unwrap();
        assert_eq!(fingerprint(&parsed), topic.fingerprint);
    }
}

#[test]
fn the_header_is_that_of_single_object_encoding() {
    let schema = arbitrary::parsed(&PARKED);
    let header = apache_avro::headers::RabinFingerprintHeader::from_schema(&schema);
    let theirs = apache_avro::headers::HeaderBuilder::build_header(&header);
    let ours = sagaline_schemas::proof::write_single_object(PARKED.fingerprint, &true);
    assert_eq!(ours[..10], theirs[..]);
}

#[test]
fn a_release_is_written_on_demand() {
    let Ok(version) = std::env::var("UPDATE_RELEASED") else { return };
    let released = folder("released").join(version);
    fs::create_dir_all(released.parent().unwrap()).unwrap();
    fs::create_dir(&released).expect("a release is written once");
    for topic in topics() {
        fs::write(released.join(format!("{}.avsc", topic.name)), topic.printed()).unwrap();
    }
}

#[test]
fn every_released_folder_is_compiled_in() {
    let on_disk: BTreeSet<String> = match fs::read_dir(folder("released")) {
        Ok(entries) => entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => panic!("{error}"),
    };
    let compiled: BTreeSet<String> = RELEASES.iter().map(|release| release.version.to_owned()).collect();
    assert_eq!(on_disk, compiled);
}

/// Today's schema reads all of a release, and is what the release has become by growing at its ends: then a release reads today's
/// records too, but for the branches and symbols that it can't know.
fn compatible(released: &Json, today: &Json) -> Result<(), String> {
    let parse = |schema| Schema::parse(schema).map_err(|error| error.to_string());
    match SchemaCompatibility::can_read(&parse(released)?, &parse(today)?) {
        Ok(Compatibility::Full) => {}
        Ok(Compatibility::Partial) => return Err("today's schema does not read all of the release".into()),
        Err(error) => return Err(format!("today's schema does not read the release: {error}")),
    }
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    let (outer_before, outer_after) = (reference(released, &mut before), reference(today, &mut after));
    if outer_before != outer_after {
        return Err(format!("{outer_before} is now {outer_after}"));
    }
    before.iter().try_for_each(|(name, old)| match after.get(name) {
        Some(new) => grown(old, new).map_err(|error| format!("{name}: {error}")),
        None => Err(format!("{name} is gone")),
    })
}

/// A schema with every named type replaced by its name; what they are goes into `named`.
fn reference(schema: &Json, named: &mut BTreeMap<String, Json>) -> Json {
    match schema {
        Json::Array(branches) => branches.iter().map(|branch| reference(branch, named)).collect(),
        Json::Object(object) => {
            let inner = |(key, value): (&String, &Json), named: &mut _| match key.as_str() {
                "doc" => None,
                "type" | "items" | "fields" => Some((key.clone(), reference(value, named))),
                _ => Some((key.clone(), value.clone())),
            };
            let object: serde_json::Map<_, _> = object.iter().filter_map(|entry| inner(entry, named)).collect();
            let is_named = matches!(object["type"].as_str(), Some("record" | "enum" | "fixed"));
            if !is_named {
                return Json::Object(object);
            }
            let name = format!("{}.{}", object["namespace"].as_str().unwrap(), object["name"].as_str().unwrap());
            named.insert(name.clone(), Json::Object(object));
            Json::String(name)
        }
        name => name.clone(),
    }
}

/// Whether one named type is the other, or the other with more at the end of its fields, symbols or branches.
fn grown(old: &Json, new: &Json) -> Result<(), String> {
    let list = |schema: &Json, key: &str| schema[key].as_array().cloned().unwrap_or_default();
    for key in ["type", "size"] {
        if old[key] != new[key] {
            return Err(format!("its {key} changed"));
        }
    }
    if !list(new, "symbols").starts_with(&list(old, "symbols")) {
        return Err("its symbols changed before their end".into());
    }
    let (old, new) = (list(old, "fields"), list(new, "fields"));
    if new.len() < old.len() {
        return Err("a field is gone".into());
    }
    for (old, new) in old.iter().zip(&new) {
        let branches = |field: &Json| field["type"].as_array().cloned();
        let same = match (branches(old), branches(new)) {
            (Some(old), Some(new)) => new.starts_with(&old),
            _ => old["type"] == new["type"],
        };
        if !same || old["name"] != new["name"] {
            return Err(format!("the field {} changed", old["name"]));
        }
    }
    new[old.len()..].iter().try_for_each(|added| match added.get("default") {
        Some(_) => Ok(()),
        None => Err(format!("the new field {} has no default", added["name"])),
    })
}

#[test]
fn todays_schemas_and_the_released_ones_read_each_other() {
    for release in RELEASES {
        let released = [release.inbox, release.command, release.event, release.parked];
        for (topic, released) in topics().into_iter().zip(released) {
            let released: Json = serde_json::from_str(released).unwrap();
            compatible(&released, &topic.json)
                .unwrap_or_else(|error| panic!("{} {}: {error}", release.version, topic.name));
            assert!(
                !released.to_string().contains(r#""type":"map""#),
                "maps have no order in apache-avro: they can't be translated"
            );
        }
    }
}

/// The inbox's schema with one thing about `Fault` changed.
fn planted(change: impl FnOnce(&mut Vec<Json>)) -> Json {
    let mut schema = INBOX.json.clone();
    let bodies = schema["fields"][0]["type"].as_array_mut().unwrap();
    let fault = bodies.iter_mut().find(|body| body["name"] == "Fault").unwrap();
    change(fault["fields"].as_array_mut().unwrap());
    schema
}

#[test]
fn planted_changes_are_found() {
    assert_eq!(compatible(&INBOX.json, &INBOX.json), Ok(()));
    let added = planted(|fields| fields.push(json!({"name": "shift", "type": "long", "default": 0})));
    assert_eq!(compatible(&INBOX.json, &added), Ok(()));
    let wrong = [
        planted(|fields| fields.push(json!({"name": "shift", "type": "long"}))),
        planted(|fields| fields[0]["type"] = json!("string")),
        planted(|fields| fields[0]["name"] = json!("place")),
        planted(|fields| drop(fields.remove(0))),
        planted(|fields| fields.swap(2, 3)),
        planted(|fields| fields.insert(0, json!({"name": "shift", "type": "long", "default": 0}))),
    ];
    for today in wrong {
        assert!(compatible(&INBOX.json, &today).is_err(), "{}", today["fields"][0]["type"][10]);
    }
    let mut fewer = INBOX.json.clone();
    fewer["fields"][0]["type"].as_array_mut().unwrap().pop();
    assert!(compatible(&INBOX.json, &fewer).is_err());
    assert_eq!(compatible(&fewer, &INBOX.json), Ok(()), "a union may grow at its end");
}

/// A sealed `Fault` with a field that today's schema no longer has.
fn sealed_by(older: &Schema, key: &Key, log: LogId) -> Vec<u8> {
    let fault = vec![
        ("offset".into(), Value::Long(41)),
        ("timer".into(), Value::Long(0)),
        ("by".into(), Value::String("ann".into())),
        ("reason".into(), Value::String("it kills".into())),
        ("shift".into(), Value::Long(5)),
    ];
    let branch = Value::Union(10, Box::new(Value::Record(fault)));
    let unproven =
        Value::Record(vec![("body".into(), branch.clone()), ("mac".into(), Value::Union(0, Box::new(Value::Null)))]);
    let head = [&[0xc3, 0x01][..], &fingerprint(older).to_le_bytes()].concat();
    let body = arbitrary::write(older, unproven);
    let Mac(mac) = key.mac(log, 3, &[&head[..], &body[..body.len() - 1]].concat());
    let mac = Value::Union(1, Box::new(Value::Fixed(16, mac.to_vec())));
    let proven = Value::Record(vec![("body".into(), branch), ("mac".into(), mac)]);
    [head, arbitrary::write(older, proven)].concat()
}

#[test]
fn records_of_an_older_release_open_and_prove_themselves() {
    let older = planted(|fields| fields.push(json!({"name": "shift", "type": "long", "default": 0})));
    let evolution = Evolution::new(&INBOX.json, [older.to_string().as_str()]).unwrap();
    let (key, log, older) = (Key::new("k", [9; 32]), LogId([7; 16]), Schema::parse(&older).unwrap());
    let value = sealed_by(&older, &key, log);
    let opened = open_older(&evolution, fingerprint(&older), &value).unwrap();
    let fault = Fault { offset: 41, timer: 0, by: "ann".into(), reason: "it kills".into() };
    assert_eq!(opened.inbox.body, Body::Fault(fault));
    assert_eq!(opened.inbox.mac, Some(key.mac(log, 3, &value[..opened.covered])));

    for at in 10..value.len() {
        let mut changed = value.clone();
        changed[at] ^= 1;
        let proven = open_older(&evolution, fingerprint(&older), &changed)
            .ok()
            .filter(|opened| opened.inbox.mac == Some(key.mac(log, 3, &changed[..opened.covered])));
        assert_eq!(proven, None, "byte {at}");
        assert!(open_older(&evolution, fingerprint(&older), &value[..at]).is_err(), "cut at {at}");
    }
    assert!(open_older(&evolution, 1, &value).is_err());
}

/// A participant that was built before `outage` was there says no outage.
#[test]
fn a_failure_of_the_first_release_is_no_outage() {
    let v1 = Schema::parse_str(RELEASES[0].inbox).unwrap();
    let text = |text: &str| Value::String(text.to_owned());
    let address = Value::Record(vec![
        ("saga".into(), Value::Fixed(16, vec![1; 16])),
        ("step".into(), text("charge")),
        ("items".into(), Value::Array(vec![])),
        ("round".into(), Value::Long(0)),
        ("kind".into(), Value::Enum(0, "Do".into())),
        ("attempt".into(), Value::Long(1)),
    ]);
    let failed = Value::Record(vec![
        ("error".into(), text("busy")),
        ("retry_after".into(), Value::Union(1, Box::new(Value::Long(5)))),
    ]);
    let reply = Value::Record(vec![
        ("address".into(), address),
        ("token".into(), Value::Fixed(16, vec![2; 16])),
        ("answer".into(), Value::Union(2, Box::new(failed))),
        ("instance".into(), text("i")),
        ("time".into(), Value::Long(7)),
    ]);
    let body = Value::Union(8, Box::new(reply));
    let mac = Value::Union(0, Box::new(Value::Null));
    let datum = arbitrary::write(&v1, Value::Record(vec![("body".into(), body), ("mac".into(), mac)]));
    let value = [&[0xc3, 0x01][..], &fingerprint(&v1).to_le_bytes(), &datum].concat();
    let Body::Reply(reply) = open(INBOX.fingerprint, &value).unwrap().inbox.body else { panic!("it is a reply") };
    let failed = Failed { error: "busy".to_owned(), retry_after: Some(5), outage: false };
    assert_eq!(reply.answer, Answer::Failed(failed));
}

mod before {
    use super::*;
    use sagaline_schemas::wire::{AvroType, Named, Reader, WireError};

    avro_record! {
        /// Before a field was added.
        pub struct Shift {
            /// Whose.
            pub by: String,
        }
    }

    pub fn schema() -> Json {
        let _: fn(&mut Reader<'_>) -> Result<Shift, WireError> = Shift::decode;
        Shift::schema(&mut Named::default())
    }
}

mod after {
    use super::*;
    use sagaline_schemas::wire::{AvroType, Named};

    avro_record! {
        /// After.
        pub struct Shift {
            /// Whose.
            pub by: String,
            /// Where.
            pub place: Option<String> = null,
            /// How long.
            pub hours: i64 = 8,
        }
    }

    pub fn schema() -> Json {
        Shift::schema(&mut Named::default())
    }
}

#[test]
fn an_added_field_takes_its_default_from_older_records() {
    compatible(&before::schema(), &after::schema()).unwrap();
    let older = before::schema();
    let evolution = Evolution::new(&after::schema(), [older.to_string().as_str()]).unwrap();
    let older = fingerprint(&Schema::parse(&older).unwrap());
    let written = before::Shift { by: "ann".into() }.to_bytes();
    let read = after::Shift::from_bytes(&evolution.translate(older, &written).unwrap()).unwrap();
    assert_eq!(read, after::Shift { by: "ann".into(), place: None, hours: 8 });
    assert_eq!(evolution.translate(7, &written), Err(TranslateError::Unknown(7)));
    let trailing = [written, vec![0]].concat();
    assert!(matches!(evolution.translate(older, &trailing), Err(TranslateError::Unreadable { .. })));
    // A text of 2^62 bytes, in a record that ends behind the claim.
    assert!(evolution.translate(older, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
}
