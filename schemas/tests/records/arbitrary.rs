//! Arbitrary values of a schema, made from the schema itself: what no one wrote a strategy for can't be forgotten.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Name;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::collection::vec;
use proptest::prelude::*;
use sagaline_schemas::schema::TopicSchema;

/// The schema of a topic, as apache-avro has it.
pub fn parsed(topic: &TopicSchema) -> Schema {
    Schema::parse(&topic.json).expect("our schemas are schemas")
}

/// A value's bytes, as apache-avro writes them.
pub fn write(schema: &Schema, value: Value) -> Vec<u8> {
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

/// A value, as apache-avro reads it.
pub fn read(schema: &Schema, mut bytes: &[u8]) -> Value {
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty());
    value
}

/// Any value of the schema. Integers are unsigned 32-bit ones: what is `u32` in our types is `long` in Avro.
pub fn value(schema: &Schema) -> BoxedStrategy<Value> {
    let mut named = BTreeMap::new();
    gather(schema, &mut named);
    of(schema, &named)
}

type Named<'a> = BTreeMap<String, &'a Schema>;

fn full(name: &Name) -> String {
    name.fullname(None).to_string()
}

fn gather<'a>(schema: &'a Schema, named: &mut Named<'a>) {
    match schema {
        Schema::Record(record) => {
            named.insert(full(&record.name), schema);
            record.fields.iter().for_each(|field| gather(&field.schema, named));
        }
        Schema::Enum(inner) => drop(named.insert(full(&inner.name), schema)),
        Schema::Fixed(inner) => drop(named.insert(full(&inner.name), schema)),
        Schema::Array(array) => gather(&array.items, named),
        Schema::Union(union) => union.variants().iter().for_each(|branch| gather(branch, named)),
        _ => {}
    }
}

fn of(schema: &Schema, named: &Named<'_>) -> BoxedStrategy<Value> {
    match schema {
        Schema::Null => Just(Value::Null).boxed(),
        Schema::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Schema::Long => prop_oneof![0..200_i64, 0..=i64::from(u32::MAX)].prop_map(Value::Long).boxed(),
        Schema::Bytes => vec(any::<u8>(), 0..80).prop_map(Value::Bytes).boxed(),
        Schema::String => "\\PC{0,20}".prop_map(Value::String).boxed(),
        Schema::Fixed(fixed) => {
            let size = fixed.size;
            vec(any::<u8>(), size).prop_map(move |bytes| Value::Fixed(size, bytes)).boxed()
        }
        Schema::Enum(symbols) => {
            let symbols = symbols.symbols.clone();
            (0..symbols.len()).prop_map(move |i| Value::Enum(i as u32, symbols[i].clone())).boxed()
        }
        Schema::Array(array) => vec(of(&array.items, named), 0..4).prop_map(Value::Array).boxed(),
        Schema::Union(union) => {
            let branches = union.variants().iter().enumerate().map(|(i, branch)| {
                of(branch, named).prop_map(move |value| Value::Union(i as u32, Box::new(value))).boxed()
            });
            proptest::strategy::Union::new(branches).boxed()
        }
        Schema::Record(record) => {
            let fields: Vec<_> =
                record.fields.iter().map(|field| (Just(field.name.clone()), of(&field.schema, named))).collect();
            fields.prop_map(Value::Record).boxed()
        }
        Schema::Ref { name } => of(named[&full(name)], named),
        other => panic!("our records use no {other:?}: its codec has no test"),
    }
}
