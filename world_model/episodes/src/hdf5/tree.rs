//! Groups and columns by name, with soft links followed within the file.

use std::collections::BTreeMap;
use std::path::Path;

use hdf5_pure::{Dataset, File, Group};

use super::bytes::Parsed;
use super::file::broken;
use super::link_message::Target;
use super::links::Links;
use crate::{Error, Result};

/// Most soft links on the way to an object.
const MAX_HOPS: usize = 16;

/// The names of a file.
pub(super) struct Tree<'a> {
    path: &'a Path,
    file: &'a File,
    /// `None` where the links cannot be listed: then the library sees what it sees.
    links: Option<Links>,
    /// The groups in groups that soft links lead to, each opened in one pass.
    siblings: BTreeMap<String, BTreeMap<String, Group>>,
}

/// One group. Names that are soft links lead to a path without any, or to a reason why not.
pub(super) struct Node {
    pub group: Group,
    soft: BTreeMap<String, Parsed<String>>,
    /// The other names, where there are soft links.
    hard: Vec<String>,
}

impl<'a> Tree<'a> {
    /// The names of `file` at `path`.
    pub fn new(file: &'a File, path: &'a Path) -> Self {
        Self { path, file, links: Links::open(path, file.superblock()).ok(), siblings: BTreeMap::new() }
    }

    /// The root group.
    pub fn root(&mut self) -> Node {
        let address = self.links.as_ref().map(|links| links.root);
        self.node(self.file.root(), &[], address)
    }

    /// The group called `name` in `parent`, which is called `parent_name`; `opened` is that group, if it is open.
    ///
    /// # Errors
    /// [`Error::Content`] that names the link when it leads to no group of this file.
    pub fn group(&mut self, parent: &Node, parent_name: &str, name: &str, opened: Option<Group>) -> Result<Node> {
        let full = format!("{parent_name}/{name}");
        let refused = |got: String| Error::content(self.path, full.trim_start_matches('/'), "a group of datasets", got);
        let (group, plain) = match (opened, parent.soft.get(name)) {
            (Some(group), _) => (Ok(group), full.clone()),
            (None, None) => (parent.group.group(name), full.clone()),
            (None, Some(Ok(target))) => (self.target(target), target.clone()),
            (None, Some(Err(reason))) => return Err(refused(reason.clone())),
        };
        let group = group.map_err(|error| refused(error.to_string()))?;
        let parts: Vec<String> = plain.split('/').filter(|part| !part.is_empty()).map(String::from).collect();
        let address = self.locate(&parts).ok().map(|(_, address)| address);
        Ok(self.node(group, &parts, address))
    }

    /// Names of the groups in `node`, soft links among them, also those that lead nowhere.
    ///
    /// # Errors
    /// [`Error::File`] when the library cannot list them.
    pub fn groups(&mut self, node: &Node) -> Result<Vec<String>> {
        if node.soft.is_empty() {
            return node.group.groups().map_err(|error| broken(self.path, error));
        }
        let mut names: Vec<String> = node.hard.iter().filter(|name| node.group.group(name).is_ok()).cloned().collect();
        for (name, target) in &node.soft {
            if target.as_ref().map_or(true, |target| self.target(target).is_ok()) {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    /// The group at `path` from the root, without soft links. To find one by its name, the list of all beside it is
    /// read; so all of them are opened the first time.
    fn target(&mut self, path: &str) -> std::result::Result<Group, hdf5_pure::Error> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !self.siblings.contains_key(parent) {
            let group = if parent.is_empty() { Ok(self.file.root()) } else { self.file.group(parent) };
            let all = group.and_then(|group| Ok(group.iter_groups()?.collect()));
            self.siblings.insert(parent.into(), all.unwrap_or_default());
        }
        match self.siblings.get(parent).and_then(|all| all.get(name)) {
            Some(group) => Ok(group.clone()),
            None => self.file.group(path),
        }
    }

    /// The group at `address`, whose path is `parts`.
    fn node(&mut self, group: Group, parts: &[String], address: Option<u64>) -> Node {
        let (mut soft, mut hard) = (BTreeMap::new(), Vec::new());
        let members = self.links.as_mut().zip(address).and_then(|(links, address)| links.members(address).ok());
        for (name, target) in members.iter().flat_map(|members| members.iter()) {
            match target {
                Target::Hard(_) => hard.push(name.clone()),
                _ => {
                    let parts: Vec<String> = parts.iter().chain([name]).cloned().collect();
                    soft.insert(name.clone(), self.locate(&parts).map(|(path, _)| format!("/{}", path.join("/"))));
                }
            }
        }
        if soft.is_empty() {
            hard.clear();
        }
        Node { group, soft, hard }
    }

    /// The path without soft links of the object at `parts` from the root, and its address.
    fn locate(&mut self, parts: &[String]) -> Parsed<(Vec<String>, u64)> {
        let Some(links) = &mut self.links else { return Err("links that cannot be listed".into()) };
        let mut rest: Vec<String> = parts.iter().rev().cloned().collect();
        let mut walked: Vec<(String, u64)> = Vec::new();
        let mut hops = 0;
        while let Some(name) = rest.pop() {
            let address = walked.last().map_or(links.root, |(_, address)| *address);
            let members = links.members(address)?;
            match members.get(&name) {
                Some(Target::Hard(address)) => walked.push((name, *address)),
                Some(Target::Soft(path)) => {
                    hops += 1;
                    if hops > MAX_HOPS {
                        return Err(format!("a soft link in a circle ({path})"));
                    }
                    if path.starts_with('/') {
                        walked.clear();
                    }
                    rest.extend(path.split('/').rev().filter(|part| !matches!(*part, "" | ".")).map(String::from));
                }
                Some(Target::External { file, path }) => {
                    return Err(format!("a link to {path} in another file, {file}, which is not followed"));
                }
                Some(Target::Other(kind)) => return Err(format!("a link of kind {kind}, which is not followed")),
                None => return Err(format!("a link to nothing ({name})")),
            }
        }
        let address = walked.last().map_or(links.root, |(_, address)| *address);
        Ok((walked.into_iter().map(|(name, _)| name).collect(), address))
    }
}

impl Node {
    /// The groups in this one, all opened in one pass; none where there are soft links, which may be some of them.
    ///
    /// # Errors
    /// [`Error::File`] when the library cannot list them.
    pub fn opened(&self, path: &Path) -> Result<BTreeMap<String, Group>> {
        if !self.soft.is_empty() {
            return Ok(BTreeMap::new());
        }
        Ok(self.group.iter_groups().map_err(|error| broken(path, error))?.collect())
    }

    /// Names of the datasets, soft links among them; those that lead nowhere too, so that they can be refused by name.
    ///
    /// # Errors
    /// [`Error::File`] when the library cannot list them.
    pub fn datasets(&self, file: &File, path: &Path) -> Result<Vec<String>> {
        if self.soft.is_empty() {
            return self.group.datasets().map_err(|error| broken(path, error));
        }
        let hard = self.hard.iter().filter(|name| self.group.dataset(name).is_ok());
        let is_dataset = |target: &Parsed<String>| target.as_ref().map_or(true, |target| file.dataset(target).is_ok());
        let soft = self.soft.iter().filter(|(_, target)| is_dataset(target)).map(|(name, _)| name);
        Ok(hard.chain(soft).cloned().collect())
    }

    /// The dataset called `name`.
    ///
    /// # Errors
    /// [`Error::Content`] about `full`, its whole name, when a link does not lead to one; [`Error::File`] when it is
    /// broken.
    pub fn dataset(&self, name: &str, file: &File, path: &Path, full: &str) -> Result<Dataset> {
        match self.soft.get(name) {
            None => self.group.dataset(name).map_err(|error| broken(path, error)),
            Some(Ok(target)) => file.dataset(target).map_err(|error| broken(path, error)),
            Some(Err(reason)) => Err(Error::content(path, full, "a dataset of this file", reason)),
        }
    }
}
