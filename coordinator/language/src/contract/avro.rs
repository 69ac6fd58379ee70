//! The types of a contract: Avro schemas, written as YAML. A record's, enum's or fixed's own name is its key in `types`.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use sagaline_schemas::Value;

use crate::fields::{self, did_you_mean};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Entry, Kind, Node};

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
const COMPLEX: [&str; 5] = ["record", "enum", "fixed", "array", "map"];

/// Reads named types. None: at least one of them is wrong.
pub fn types(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, Value>> {
    let entries = fields::map(node, "`types`", problems)?;
    let mut names: BTreeMap<&str, &str> =
        entries.iter().map(|entry| (entry.key.as_str(), entry.key.as_str())).collect();
    entries.iter().for_each(|entry| gather(&entry.value, &entry.key, &mut names));
    let mut reading = Reading { names, problems };
    let mut schemas = BTreeMap::new();
    for entry in entries {
        if let Some(schema) = reading.named(entry) {
            schemas.insert(entry.key.clone(), schema);
        }
    }
    if schemas.len() < entries.len() {
        return None;
    }
    let sound = entries.iter().filter(|entry| is_sound(entry, &schemas, problems)).count();
    (sound == entries.len()).then(|| schemas.into_iter().map(|(name, schema)| (name, schema.value)).collect())
}

/// A schema, and the names of `types` that it mentions.
struct Read {
    value: Value,
    mentions: BTreeSet<String>,
}

/// Asks the Avro library, which knows rules that are not repeated here. A type is judged together with those that it needs.
fn is_sound(entry: &Entry, schemas: &BTreeMap<String, Read>, problems: &mut Problems) -> bool {
    let mut needed = BTreeSet::from([entry.key.as_str()]);
    let mut open = vec![entry.key.as_str()];
    while let Some(name) = open.pop() {
        let mentions = schemas.get(name).into_iter().flat_map(|read| &read.mentions);
        open.extend(mentions.map(String::as_str).filter(|mentioned| needed.insert(mentioned)));
    }
    let texts = needed.iter().filter_map(|name| schemas.get(*name)).map(|read| read.value.to_string());
    let Err(error) = Schema::parse_list(texts.collect::<Vec<_>>()) else { return true };
    let message = format!("the type `{}` is no Avro schema: {error}", entry.key);
    problems.error(entry.key_span, message, "see the Avro specification, section Schema Declaration");
    false
}

/// Finds the types that a schema names inside itself.
fn gather<'a>(node: &'a Node, owner: &'a str, names: &mut BTreeMap<&'a str, &'a str>) {
    if let Some(name) = named_kind(node).and_then(|_| scalar(&fields::map_entry(node, "name")?.value)) {
        names.entry(name).or_insert(owner);
    }
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| gather(item, owner, names)),
        Kind::Map(entries) => entries.iter().for_each(|entry| gather(&entry.value, owner, names)),
    }
}

/// The kind of a schema that has a name of its own.
fn named_kind(node: &Node) -> Option<&str> {
    let kind = scalar(&fields::map_entry(node, "type")?.value)?;
    ["record", "enum", "fixed"].contains(&kind).then_some(kind)
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar.text()),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

struct Reading<'a> {
    /// Each type that may be named, and the key of `types` it stands under.
    names: BTreeMap<&'a str, &'a str>,
    problems: &'a mut Problems,
}

impl Reading<'_> {
    fn named(&mut self, entry: &Entry) -> Option<Read> {
        if let Err(help) = lexical::identifier(&entry.key) {
            self.problems.error(entry.key_span, format!("`{}` is no name of a type", entry.key), help);
            return None;
        }
        let mut mentions = BTreeSet::new();
        let mut value = self.schema(&entry.value, &mut mentions)?;
        if let (Value::Map(map), Some(_)) = (&mut value, named_kind(&entry.value)) {
            let name = map.entry("name".to_owned()).or_insert_with(|| Value::from(entry.key.as_str()));
            if *name == Value::from(entry.key.as_str()) {
                return Some(Read { value, mentions });
            }
            let message = format!("the type `{}` calls itself {name}", entry.key);
            self.problems.error(entry.key_span, message, "take out its `name`: the key is its name");
            return None;
        }
        let message = format!("the type `{}` is no record, enum or fixed", entry.key);
        let help = "write `type: record` and `fields:`; other types have no name of their own";
        self.problems.error(entry.key_span, message, help);
        None
    }

    /// A schema at its place: a name, a union, or a map with `type`.
    fn schema(&mut self, node: &Node, mentions: &mut BTreeSet<String>) -> Option<Value> {
        match &node.kind {
            Kind::Scalar(scalar) => self.reference(scalar.text(), node, mentions),
            Kind::List(branches) => {
                let read: Vec<_> = branches.iter().map(|branch| self.schema(branch, mentions)).collect();
                read.into_iter().collect::<Option<_>>().map(Value::List)
            }
            Kind::Map(entries) => self.declared(entries, node, mentions),
        }
    }

    /// `null` without quotes is the type of that name, as every Avro user writes it.
    fn reference(&mut self, name: &str, node: &Node, mentions: &mut BTreeSet<String>) -> Option<Value> {
        if PRIMITIVES.contains(&name) {
            return Some(Value::from(name));
        }
        if let Some(owner) = self.names.get(name) {
            mentions.insert((*owner).to_owned());
            return Some(Value::from(name));
        }
        let known: Vec<&str> = PRIMITIVES.into_iter().chain(self.names.keys().copied()).collect();
        self.problems.error(node.span, format!("there is no type `{name}`"), did_you_mean(name, &known));
        None
    }

    fn declared(&mut self, entries: &[Entry], node: &Node, mentions: &mut BTreeSet<String>) -> Option<Value> {
        let Some(kind) = entries.iter().find(|entry| entry.key == "type") else {
            self.problems.error(
                node.span,
                "an Avro schema needs `type`",
                "write `type: record`, or the name of a type",
            );
            return None;
        };
        let nested = !matches!(&kind.value.kind, Kind::Scalar(scalar) if COMPLEX.contains(&scalar.text()));
        let mut map = BTreeMap::new();
        for entry in entries {
            let value = match entry.key.as_str() {
                "type" if nested => self.schema(&entry.value, mentions),
                "items" | "values" => self.schema(&entry.value, mentions),
                "fields" => self.record_fields(&entry.value, mentions),
                _ => self.literal(&entry.value),
            };
            map.insert(entry.key.clone(), value?);
        }
        Some(Value::Map(map))
    }

    fn record_fields(&mut self, node: &Node, mentions: &mut BTreeSet<String>) -> Option<Value> {
        let items = fields::list(node, "`fields`", self.problems)?;
        let mut read = Vec::new();
        for item in items {
            if let Some(entries) = fields::map(item, "a field", self.problems) {
                read.extend(self.declared(entries, item, mentions).map(unfolded));
            }
        }
        (read.len() == items.len()).then_some(Value::List(read))
    }

    fn literal(&mut self, node: &Node) -> Option<Value> {
        crate::literal::value(node, self.problems)
    }
}

/// `{ name: lines, type: array, items: Line }`, as people write a field, in Avro's own form.
fn unfolded(mut field: Value) -> Value {
    if let Value::Map(map) = &mut field
        && matches!(map.get("type"), Some(Value::String(kind)) if kind == "array" || kind == "map")
    {
        let inner = ["type", "items", "values"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), map.remove(key)?)))
            .collect();
        map.insert("type".to_owned(), Value::Map(inner));
    }
    field
}
