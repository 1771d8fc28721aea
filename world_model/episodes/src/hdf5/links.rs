//! The links of an HDF5 file's groups. The library of this crate knows hard links only: it stumbles over soft links in
//! groups of the old layout, and passes over them in silence in groups of the new one. This module lists them, from
//! the object headers (HDF5 File Format Specification, version 3.0, sections III.A to III.E and IV).

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use hdf5_pure::Superblock;

use super::bytes::{Bytes, FileBytes, MAX_BYTES, Parsed};
use super::dense_links;
use super::link_message::{self, Target};

/// Most bytes of names.
const MAX_NAMES: usize = 256 << 20;
/// Most levels of a tree.
const MAX_LEVELS: u8 = 16;
/// Longest name, bytes.
const MAX_NAME: usize = 4096;

/// The links of a group.
pub(super) type Members = BTreeMap<String, Target>;

/// The groups of a file that have been listed.
pub(super) struct Links {
    file: FileBytes,
    /// Address of the root group.
    pub root: u64,
    known: BTreeMap<u64, Rc<Members>>,
    /// Bytes of names.
    names: usize,
}

impl Links {
    /// Opens the file at `path`.
    pub fn open(path: &Path, superblock: &Superblock) -> Parsed<Self> {
        let (file, root) = (FileBytes::open(path, superblock)?, superblock.root_group_address);
        Ok(Self { file, root, known: BTreeMap::new(), names: 0 })
    }

    /// The links of the group whose object header is at `address`; none for other objects.
    pub fn members(&mut self, address: u64) -> Parsed<Rc<Members>> {
        if let Some(members) = self.known.get(&address) {
            return Ok(members.clone());
        }
        if self.names > MAX_NAMES {
            return Err("more links than are followed".into());
        }
        let mut members = Members::new();
        for (kind, body) in self.messages(address)? {
            let mut body = Bytes::of(&body, self.file.widths());
            match kind {
                0x06 => members.extend([link_message::parse(&mut body)?]),
                0x11 => {
                    let (tree, heap) = (body.address()?, body.address()?);
                    let names = self.heap(heap)?;
                    self.symbols(tree, &names, MAX_LEVELS, &mut members)?;
                }
                0x02 => {
                    let flags = body.take(2)?[1];
                    body.take(if flags & 1 == 1 { 8 } else { 0 })?;
                    let (heap, index) = (body.address()?, body.address()?);
                    if self.file.is_defined(heap) {
                        members.extend(dense_links::list(&mut self.file, heap, index)?);
                    }
                }
                _ => (),
            }
        }
        self.names += members.keys().map(String::len).sum::<usize>();
        let members = Rc::new(members);
        self.known.insert(address, members.clone());
        Ok(members)
    }

    /// Kinds and bodies of the messages of the object header at `address`.
    fn messages(&mut self, address: u64) -> Parsed<Vec<(u16, Vec<u8>)>> {
        let start = self.file.read(address, 16)?;
        let is_new = start.starts_with(b"OHDR");
        let (mut ordered, mut blocks) = (false, Vec::new());
        if is_new {
            let flags = start[5];
            ordered = flags & 4 != 0;
            let skipped = 6 + if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
            let width = 1u64 << (flags & 3);
            let size = self.file.read(address + skipped, width)?;
            let size = size.iter().rev().fold(0u64, |size, byte| size << 8 | u64::from(*byte));
            blocks.push((address + skipped + width, size));
        } else {
            let size = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
            blocks.push((address + 16, u64::from(size)));
        }
        let (mut messages, mut next) = (Vec::new(), 0);
        while let Some(&(place, size)) = blocks.get(next) {
            next += 1;
            if blocks.iter().map(|(_, size)| *size).fold(0u64, u64::saturating_add) > MAX_BYTES || next > 4096 {
                return Err("an object header of too many blocks".into());
            }
            let block = self.file.read(place, size)?;
            let mut rest = Bytes::of(&block, self.file.widths());
            let head = if !is_new {
                8
            } else if ordered {
                6
            } else {
                4
            };
            while rest.left() >= head {
                let head = rest.take(head)?;
                let (kind, size) = match is_new {
                    true => (u16::from(head[0]), u16::from_le_bytes([head[1], head[2]])),
                    false => (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]])),
                };
                let body = rest.take(usize::from(size))?;
                if kind == 0x10 {
                    let mut place = Bytes::of(body, self.file.widths());
                    let (address, size) = (place.address()?, place.length()?);
                    // New blocks have a signature and a checksum around their messages.
                    blocks.push(if is_new {
                        (address.saturating_add(4), size.saturating_sub(8))
                    } else {
                        (address, size)
                    });
                } else {
                    messages.push((kind, body.to_vec()));
                }
            }
        }
        Ok(messages)
    }

    /// The text of a local heap.
    fn heap(&mut self, address: u64) -> Parsed<Vec<u8>> {
        let [offset, length] = self.file.widths();
        let header = self.file.read(address, (8 + 2 * length + offset) as u64)?;
        let mut header = Bytes::of(&header, self.file.widths());
        header.expect(b"HEAP")?;
        header.take(4)?;
        let (size, _, data) = (header.length()?, header.length()?, header.address()?);
        self.file.read(data, size)
    }

    /// Adds the links in the nodes below the node of a B-tree at `address`, at most `levels` deep.
    fn symbols(&mut self, address: u64, names: &[u8], levels: u8, members: &mut Members) -> Parsed<()> {
        let [offset, length] = self.file.widths();
        let head = self.file.read(address, (8 + 2 * offset) as u64)?;
        let (level, entries) = (head[5], u16::from_le_bytes([head[6], head[7]]));
        if !head.starts_with(b"TREE") || level >= levels {
            return Err("a broken tree of names".into());
        }
        let body = self.file.read(address + head.len() as u64, u64::from(entries) * (length + offset) as u64)?;
        let mut body = Bytes::of(&body, self.file.widths());
        for _ in 0..entries {
            body.length()?;
            let child = body.address()?;
            if level > 0 {
                self.symbols(child, names, level, members)?;
                continue;
            }
            let head = self.file.read(child, 8)?;
            let (count, entry) = (u16::from_le_bytes([head[6], head[7]]), 2 * offset + 24);
            if !head.starts_with(b"SNOD") {
                return Err("a broken node of names".into());
            }
            let symbols = self.file.read(child + 8, u64::from(count) * entry as u64)?;
            for symbol in symbols.chunks_exact(entry) {
                let mut symbol = Bytes::of(symbol, self.file.widths());
                let (name, object) = (symbol.address()?, symbol.address()?);
                let (kind, value) = (symbol.number(4)?, symbol.take(4).and(symbol.number(4))?);
                let text = |place: u64| {
                    let text = usize::try_from(place).ok().and_then(|place| names.get(place..));
                    let text = text.and_then(|text| text.split(|byte| *byte == 0).next());
                    let text = text.filter(|text| text.len() <= MAX_NAME);
                    text.map(|text| String::from_utf8_lossy(text).into_owned()).ok_or("a name outside of its heap")
                };
                let target = if kind == 2 { Target::Soft(text(value)?) } else { Target::Hard(object) };
                members.insert(text(name)?, target);
            }
        }
        Ok(())
    }
}
