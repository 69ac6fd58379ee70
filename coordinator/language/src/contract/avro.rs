//! The types of a contract: Avro schemas, written as YAML. A record's, enum's or fixed's own name is its key in `types`.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use sagaline_schemas::Value;

use crate::fields::{self, did_you_mean, or_else};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Entry, Kind, Node};

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
const COMPLEX: [&str; 5] = ["record", "enum", "fixed", "array", "map"];

/// Reads named types. None: at least one of them is wrong.
pub fn types(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, Value>> {
    let entries = fields::map(node, "`types`", problems)?;
    let names = entries.iter().map(|entry| entry.key.as_str()).collect();
    let mut reading = Reading { names, inner: BTreeSet::new(), problems };
    let mut schemas = BTreeMap::new();
    for entry in entries {
        if let Some(schema) = reading.named(entry) {
            schemas.insert(entry.key.clone(), schema);
        }
    }
    if schemas.len() < entries.len() {
        return None;
    }
    judge(entries, &schemas, problems)?;
    Some(schemas.into_iter().map(|(name, schema)| (name, schema.value)).collect())
}

/// A schema, and the names of `types` that it mentions.
struct Read {
    value: Value,
    mentions: BTreeSet<String>,
}

/// Asks the Avro library, which knows rules that are not repeated here. Each type is judged together with those that it needs, and
/// not blamed for them.
fn judge(entries: &[Entry], schemas: &BTreeMap<String, Read>, problems: &mut Problems) -> Option<()> {
    let needs: BTreeMap<&str, BTreeSet<&str>> =
        schemas.keys().map(|name| (name.as_str(), needs(name, schemas))).collect();
    let mut wrong = BTreeMap::new();
    for (name, needed) in &needs {
        let texts = needed.iter().filter_map(|name| schemas.get(*name)).map(|read| read.value.to_string());
        if let Err(error) = Schema::parse_list(texts.collect::<Vec<_>>()) {
            wrong.insert(*name, error.to_string());
        }
    }
    for entry in entries {
        let name = entry.key.as_str();
        let Some(error) = wrong.get(name) else { continue };
        let cause = |other: &&str| wrong.contains_key(other) && !needs[other].contains(name);
        if !needs[name].iter().any(cause) {
            let message = format!("the type `{name}` is no Avro schema: {error}");
            problems.error(entry.key_span, message, "see the Avro specification, section Schema Declaration");
        }
    }
    wrong.is_empty().then_some(())
}

/// A type, those that it mentions, those that they mention, and so on.
fn needs<'a>(name: &'a str, schemas: &'a BTreeMap<String, Read>) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let mentions = schemas.get(name).into_iter().flat_map(|read| &read.mentions);
        open.extend(mentions.map(String::as_str).filter(|mentioned| needed.insert(mentioned)));
    }
    needed
}

/// The names that a schema gives to parts of itself.
fn inner_names<'a>(node: &'a Node, names: &mut BTreeSet<&'a str>) {
    names.extend(named_kind(node).and_then(|_| scalar(&fields::map_entry(node, "name")?.value)));
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| inner_names(item, names)),
        Kind::Map(entries) => entries.iter().for_each(|entry| inner_names(&entry.value, names)),
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
    /// The keys of `types`.
    names: BTreeSet<&'a str>,
    /// Names inside the type that is being read: they are seen there only.
    inner: BTreeSet<&'a str>,
    problems: &'a mut Problems,
}

impl<'a> Reading<'a> {
    fn named(&mut self, entry: &'a Entry) -> Option<Read> {
        if let Err(help) = lexical::identifier(&entry.key) {
            self.problems.error(entry.key_span, format!("`{}` is no name of a type", entry.key), help);
            return None;
        }
        self.inner.clear();
        inner_names(&entry.value, &mut self.inner);
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
        if PRIMITIVES.contains(&name) || (self.inner.contains(name) && !self.names.contains(name)) {
            return Some(Value::from(name));
        }
        if self.names.contains(name) {
            mentions.insert(name.to_owned());
            return Some(Value::from(name));
        }
        let known: Vec<&str> = PRIMITIVES.into_iter().chain(self.names.iter().copied()).collect();
        self.problems.error(
            node.span,
            format!("there is no type `{name}`"),
            or_else(did_you_mean(name, &known), "declare it under `types`"),
        );
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
                if !entries.iter().any(|entry| entry.key == "name") {
                    self.problems.error(item.span, "a field needs `name`", "write `{ name: amount, type: long }`");
                    continue;
                }
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
