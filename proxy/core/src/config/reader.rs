//! Walks the document section by section and collects every problem on the way, instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::keys::{self, Presence};
use super::problem::{Complaint, File, Problem, Severity};
use super::tree::{self, Entry, Node, Place, Table, Value};
use super::{instead, values, variables};

/// Where problems go; it holds the files to show their lines.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// Where relative paths start.
    base: PathBuf,
    files: RefCell<Vec<File>>,
    problems: RefCell<Vec<(Place, Problem)>>,
    asked: RefCell<BTreeSet<(&'static str, String)>>,
}

/// Why a value gave nothing.
#[derive(Debug)]
pub(super) enum Unread {
    Complaint(Complaint),
    /// Its problem is already told.
    Told,
}

/// A value is missing because it is wrong, and its problem is told.
#[derive(Debug)]
pub(super) struct Told;

impl From<Complaint> for Unread {
    fn from(complaint: Complaint) -> Self {
        Self::Complaint(complaint)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            variable,
            base: PathBuf::new(),
            files: RefCell::default(),
            problems: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// For texts of the registry, which have no variables and cannot be wrong.
    pub(super) fn silent() -> Self {
        Self::new(&|_| None)
    }

    /// Relative paths start at the directory of the main file.
    pub(super) fn set_base(&mut self, main: &str) {
        self.base = Path::new(main)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn path(&self, node: &Node) -> Result<PathBuf, Unread> {
        values::path(node, &self.base)
    }

    pub(super) fn add_file(&self, name: &str, text: &str) -> usize {
        let mut files = self.files.borrow_mut();
        files.push(File {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        files.len() - 1
    }

    pub(super) fn expand(&self, text: &str) -> Result<String, Complaint> {
        variables::expand(text, self.variable)
    }

    pub(super) fn report(&self, place: Place, key: &str, complaint: Complaint) {
        self.push(Severity::Error, place, key, complaint, None);
    }

    pub(super) fn warn(&self, place: Place, key: &str, complaint: Complaint) {
        self.push(Severity::Warning, place, key, complaint, None);
    }

    /// Reports the second place of a conflict and names the first.
    pub(super) fn conflict(&self, first: Place, second: Place, key: &str, complaint: Complaint) {
        self.push(Severity::Error, second, key, complaint, Some(first));
    }

    fn push(
        &self,
        severity: Severity,
        place: Place,
        key: &str,
        complaint: Complaint,
        first: Option<Place>,
    ) {
        let files = self.files.borrow();
        let Some(file) = files.get(place.file) else {
            return;
        };
        let mut problem = file.problem(severity, (place.start, place.end), key, complaint);
        problem.first = first.and_then(|first| Some(files.get(first.file)?.location(first.start)));
        self.problems.borrow_mut().push((place, problem));
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems
            .borrow()
            .iter()
            .any(|(_, problem)| problem.severity == Severity::Error)
    }

    /// The texts, and all problems in file order, warnings among them.
    pub(super) fn finish(self) -> (Vec<File>, Vec<Problem>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(place, _)| *place);
        let problems = problems.into_iter().map(|(_, problem)| problem);
        (self.files.into_inner(), problems.collect())
    }

    pub(super) fn ask(&self, section: &'static str, key: &str) {
        self.asked.borrow_mut().insert((section, key.to_owned()));
    }

    /// Which keys were asked for so far, by section.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<(&'static str, String)> {
        self.asked.borrow().clone()
    }
}

/// One table of the document with the keys it may have.
pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader<'r>,
    pub(super) keys: &'static keys::Section,
    pub(super) path: String,
    pub(super) place: Place,
    table: Table,
}

/// One item of a list, or the lone value in its stead.
pub(super) struct Item {
    pub(super) path: String,
    pub(super) node: Node,
}

impl<'r> Section<'r> {
    /// Reports keys that the section does not have.
    pub(super) fn open(
        reader: &'r Reader<'r>,
        keys: &'static keys::Section,
        path: String,
        place: Place,
        table: Table,
    ) -> Self {
        let section = Self {
            reader,
            keys,
            path,
            place,
            table,
        };
        for entry in &section.table {
            section.check_key(entry);
        }
        section
    }

    /// All that is written in it.
    pub(super) fn into_table(self) -> Table {
        self.table
    }

    fn check_key(&self, entry: &Entry) {
        let name = entry.key.as_str();
        if self.keys.key(name).is_some() {
            return;
        }
        let complaint = instead::of_unknown(self.keys, name);
        self.reader
            .report(entry.place, &self.key_path(name), complaint);
    }

    pub(super) fn key_path(&self, key: &str) -> String {
        tree::join(&self.path, key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The place of a value, or of the section when the key is absent.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.entry(key).map_or(self.place, |entry| entry.node.place)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.table.iter().find(|entry| entry.key == key)
    }

    pub(super) fn complain(&self, key: &str, complaint: Complaint) {
        let path = if self.has(key) {
            self.key_path(key)
        } else {
            self.path.clone()
        };
        self.reader.report(self.place_of(key), &path, complaint);
    }

    /// The value as written, else its default; `None` with a problem if it is required.
    fn node(&self, key: &str) -> Option<Node> {
        self.reader.ask(self.keys.name, key);
        if let Some(entry) = self.entry(key) {
            return Some(entry.node.clone());
        }
        let registered = self.keys.key(key)?;
        match registered.presence {
            Presence::Default(text) => tree::parse_default(text, self.place),
            Presence::Optional => None,
            Presence::Required => {
                let hint = format!("add {key} = {}", registered.example);
                self.complain(
                    key,
                    Complaint::new(format!("missing key `{key}`")).hint(hint),
                );
                None
            }
        }
    }

    /// `None`: the key is optional and absent, or its problem is told.
    pub(super) fn value<T>(
        &self,
        key: &str,
        parse: impl Fn(&Node) -> Result<T, Unread>,
    ) -> Option<T> {
        let node = self.node(key)?;
        self.parse(&self.key_path(key), &node, parse)
    }

    /// An optional key: `Ok(None)` when it is absent.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        parse: impl Fn(&Node) -> Result<T, Unread>,
    ) -> Result<Option<T>, Told> {
        let value = self.value(key, parse);
        if value.is_none() && self.has(key) {
            return Err(Told);
        }
        Ok(value)
    }

    /// A list, or one value in its stead; `None` if any item is wrong.
    pub(super) fn list<T>(
        &self,
        key: &str,
        parse: impl Fn(&Node) -> Result<T, Unread>,
    ) -> Option<Vec<T>> {
        let parsed: Vec<Option<T>> = self
            .items(key)?
            .iter()
            .map(|item| self.parse(&item.path, &item.node, &parse))
            .collect();
        parsed.into_iter().collect()
    }

    /// A table whose keys are the operator's own; `None` if any entry is wrong.
    pub(super) fn pairs<T>(
        &self,
        key: &str,
        parse: impl Fn(&str, &Node) -> Result<T, Unread>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        let path = self.key_path(key);
        let table = self.parse(&path, &node, table)?;
        let parsed: Vec<Option<T>> = table
            .iter()
            .map(|entry| {
                let path = tree::join(&path, &entry.key);
                self.parse(&path, &entry.node, |node| parse(&entry.key, node))
            })
            .collect();
        parsed.into_iter().collect()
    }

    /// The items of a list, unread.
    pub(super) fn items(&self, key: &str) -> Option<Vec<Item>> {
        let node = self.node(key)?;
        let path = self.key_path(key);
        let Value::Array(items) = node.value else {
            return Some(vec![Item { path, node }]);
        };
        Some(
            items
                .into_iter()
                .enumerate()
                .map(|(index, node)| Item {
                    path: format!("{path}[{index}]"),
                    node,
                })
                .collect(),
        )
    }

    /// The items of a list that is written, for a check beside its reading.
    pub(super) fn items_if_present(&self, key: &str) -> Vec<Item> {
        if self.has(key) {
            self.items(key).unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    /// The section written as the value of `key`.
    pub(super) fn section(&self, key: &str) -> Option<Self> {
        let node = self.node(key)?;
        let item = Item {
            path: self.key_path(key),
            node,
        };
        self.item_section(key, item)
    }

    /// The section written as one item of the list `key`.
    pub(super) fn item_section(&self, key: &str, item: Item) -> Option<Self> {
        let keys = self.keys.key(key)?.fields?;
        let table = self.parse(&item.path, &item.node, table)?;
        Some(Self::open(
            self.reader,
            keys,
            item.path,
            item.node.place,
            table,
        ))
    }

    /// The sections whose names are the operator's own, such as `[listener.web]`, with the place of their name.
    pub(super) fn named(&self, key: &str) -> Option<Vec<(String, Place, Option<Self>)>> {
        let node = self.node(key)?;
        let path = self.key_path(key);
        let entries = self.parse(&path, &node, table)?;
        Some(
            entries
                .into_iter()
                .map(|entry| {
                    let item = Item {
                        path: tree::join(&path, &entry.key),
                        node: entry.node,
                    };
                    (entry.key, entry.place, self.item_section(key, item))
                })
                .collect(),
        )
    }

    pub(super) fn parse<T>(
        &self,
        path: &str,
        node: &Node,
        parse: impl Fn(&Node) -> Result<T, Unread>,
    ) -> Option<T> {
        if matches!(node.value, Value::Broken) {
            return None;
        }
        match parse(node) {
            Ok(value) => Some(value),
            Err(Unread::Told) => None,
            Err(Unread::Complaint(complaint)) => {
                let inside = path.strip_prefix(&*self.path).unwrap_or_default();
                let complaint = instead::of_value(self.keys, inside, node, complaint);
                self.reader.report(node.place, path, complaint);
                None
            }
        }
    }
}

fn table(node: &Node) -> Result<Table, Unread> {
    if let Value::Table(table) = &node.value {
        Ok(table.clone())
    } else {
        Err(values::expected("a table", node))
    }
}
