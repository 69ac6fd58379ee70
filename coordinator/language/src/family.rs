//! Definitions that are loaded together: which is whose child, so that each is read behind those that it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::definitions;
use crate::load::{LoadError, read};
use crate::report::{Problems, Report};
use crate::source::Span;
use crate::yaml;

/// Files with definitions, in the order of their names.
pub struct Family {
    files: Vec<File>,
}

/// A file with a definition, before it is read.
pub struct File {
    pub path: PathBuf,
    pub text: String,
    /// The name that the definition gives itself.
    pub name: Option<String>,
    children: Vec<(String, Span)>,
}

impl Family {
    /// Looks over the files.
    ///
    /// # Errors
    /// The first file that can't be read.
    pub fn read(paths: BTreeSet<PathBuf>) -> Result<Self, LoadError> {
        let files = paths.into_iter().map(|path| Ok(File::of(read(&path)?, path)));
        Ok(Self { files: files.collect::<Result<_, LoadError>>()? })
    }

    /// Reports children that several files define, and sagas that start themselves over however many others.
    pub fn refuse_twins_and_circles(&self, found: &mut Report) {
        let mut reports = Vec::new();
        for file in &self.files {
            let mut problems = Problems::new(&file.path.display().to_string(), &file.text);
            for (child, span) in &file.children {
                self.twins(child, *span, &mut problems);
                self.circle(file, child, *span, &mut problems);
            }
            reports.push(problems.finish(Some(())));
        }
        reports.into_iter().for_each(|report| found.extend(report.err().unwrap_or_default()));
    }

    /// The names that definitions give themselves.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| file.name.as_deref())
    }

    /// All files, each behind its children; those in a circle in the order of their names.
    pub fn children_first(&self) -> Vec<&File> {
        let mut order: Vec<&File> = Vec::new();
        let mut seen = BTreeSet::new();
        self.files.iter().for_each(|file| self.visit(file, &mut seen, &mut order));
        order
    }

    fn visit<'a>(&'a self, file: &'a File, seen: &mut BTreeSet<&'a PathBuf>, order: &mut Vec<&'a File>) {
        if !seen.insert(&file.path) {
            return;
        }
        for (child, _) in &file.children {
            self.named(child).for_each(|child| self.visit(child, seen, order));
        }
        order.push(file);
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.name.as_deref() == Some(name))
    }

    fn twins(&self, child: &str, span: Span, problems: &mut Problems) {
        let files: Vec<String> = self.named(child).map(|file| format!("`{}`", file.path.display())).collect();
        if files.len() > 1 {
            let message = format!("`{child}` is defined in {}", files.join(" and in "));
            problems.error(span, message, "check one of the two together with this definition");
        }
    }

    /// Told in each file of the circle, at the child that leads back.
    fn circle(&self, file: &File, child: &str, span: Span, problems: &mut Problems) {
        let Some(name) = file.name.as_deref() else { return };
        let mut from = BTreeMap::new();
        let mut open = vec![child];
        while let Some(next) = open.pop() {
            if next == name {
                let mut way = vec![name];
                let mut at = from.get(name).copied();
                while let Some(step) = at.filter(|step| way.len() < self.files.len() + 1 && *step != name) {
                    way.push(step);
                    at = from.get(step).copied();
                }
                way.push(name);
                way.reverse();
                problems.error(span, format!("a circle: {}", way.join(" starts ")), "a saga can't be its own child");
                return;
            }
            for grandchild in self.named(next).flat_map(|file| &file.children) {
                if !from.contains_key(grandchild.0.as_str()) {
                    from.insert(grandchild.0.as_str(), next);
                    open.push(&grandchild.0);
                }
            }
        }
    }
}

impl File {
    fn of(text: String, path: PathBuf) -> Self {
        let root = yaml::parse(&mut Problems::nowhere_in(&text));
        let name = root.as_ref().and_then(definitions::name);
        let children = root.as_ref().map(definitions::children).unwrap_or_default();
        Self { path, text, name, children }
    }
}
