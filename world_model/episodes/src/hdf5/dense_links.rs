//! The links of a large group of the new layout: link messages in a fractal heap, which a B-tree of version 2 leads to
//! (HDF5 File Format Specification, sections III.A.2 and III.G).

use super::bytes::{Bytes, FileBytes, Parsed};
use super::link_message::{self, Target};

/// Most rows of a heap's table, and most levels of a tree.
const MAX_ROWS: u64 = 64;
const MAX_DEPTH: u64 = 6;

/// The links in the heap at `heap`, in the order of the tree of names at `index`.
pub(super) fn list(file: &mut FileBytes, heap: u64, index: u64) -> Parsed<Vec<(String, Target)>> {
    let heap = Heap::read(file, heap)?;
    let mut ids = Vec::new();
    Tree::read(file, index, &mut ids)?;
    let link = |id: Vec<u8>| {
        let message = heap.object(file, &id)?;
        link_message::parse(&mut Bytes::of(&message, file.widths()))
    };
    ids.into_iter().map(link).collect()
}

/// The description of a fractal heap.
struct Heap {
    /// Bytes of an offset in the heap.
    offset_width: usize,
    table_width: u64,
    first_block: u64,
    largest_direct: u64,
    root: u64,
    rows: u64,
}

impl Heap {
    fn read(file: &mut FileBytes, address: u64) -> Parsed<Self> {
        let [offset, length] = file.widths();
        let bytes = file.read(address, (22 + 12 * length + 3 * offset) as u64)?;
        let mut bytes = Bytes::of(&bytes, file.widths());
        bytes.expect(b"FRHP")?;
        bytes.take(3)?;
        let (filters, _, _) = (bytes.number(2)?, bytes.take(1)?, bytes.take(4)?);
        bytes.take(10 * length + 2 * offset)?;
        let table_width = bytes.number(2)?;
        let (first_block, largest_direct) = (bytes.length()?, bytes.length()?);
        let bits = bytes.number(2)?;
        bytes.take(2)?;
        let (root, rows) = (bytes.address()?, bytes.number(2)?);
        if filters != 0 || table_width == 0 || first_block == 0 || rows > MAX_ROWS || bits > 64 {
            return Err("a list of links of an unknown layout".into());
        }
        let offset_width = (bits as usize).div_ceil(8);
        Ok(Self { offset_width, table_width, first_block, largest_direct, root, rows })
    }

    /// Size of the blocks in a row of the table.
    fn block_size(&self, row: u64) -> u64 {
        self.first_block.saturating_mul(1u64.checked_shl(row.saturating_sub(1) as u32).unwrap_or(0))
    }

    /// The bytes of the object `id`: kind, offset and length.
    fn object(&self, file: &mut FileBytes, id: &[u8]) -> Parsed<Vec<u8>> {
        let mut id = Bytes::of(id, file.widths());
        if id.take(1)?[0] != 0 {
            return Err("a link outside of its list".into());
        }
        let offset = id.number(self.offset_width)?;
        let length = id.number(id.left())?;
        let (block, start) = if self.rows == 0 { (self.root, 0) } else { self.block(file, offset)? };
        file.read(block.saturating_add(offset - start), length)
    }

    /// Address and first offset of the direct block with `offset`.
    fn block(&self, file: &mut FileBytes, offset: u64) -> Parsed<(u64, u64)> {
        let (mut table, mut rows, mut start) = (self.root, self.rows, 0u64);
        for _ in 0..MAX_DEPTH {
            let [width, _] = file.widths();
            let (mut row, mut row_start) = (0, start);
            while offset >= row_start.saturating_add(self.block_size(row).saturating_mul(self.table_width)) {
                row_start = row_start.saturating_add(self.block_size(row).saturating_mul(self.table_width));
                row += 1;
                if row >= rows {
                    return Err("a link behind its list".into());
                }
            }
            let size = self.block_size(row);
            let column = (offset - row_start) / size;
            start = row_start + column * size;
            // All entries before are addresses of one width, of direct and of indirect blocks.
            let entry = (row * self.table_width + column) * width as u64;
            let head = (5 + width + self.offset_width) as u64;
            let bytes = file.read(table.saturating_add(head + entry), width as u64)?;
            let block = Bytes::of(&bytes, file.widths()).address()?;
            if size <= self.largest_direct {
                return Ok((block, start));
            }
            // An indirect block has the rows that its size makes up.
            table = block;
            rows = u64::from((size / self.first_block / self.table_width).max(1).ilog2()) + 1;
        }
        Err("a list of links that is nested too deeply".into())
    }
}

/// A B-tree of version 2 with names.
struct Tree {
    node: u64,
    record: u64,
}

impl Tree {
    /// Reads the heap's identifiers of all links of the tree at `address`, in the order of the tree.
    fn read(file: &mut FileBytes, address: u64, ids: &mut Vec<Vec<u8>>) -> Parsed<()> {
        let [offset, length] = file.widths();
        let bytes = file.read(address, (22 + offset + length) as u64)?;
        let mut bytes = Bytes::of(&bytes, file.widths());
        bytes.expect(b"BTHD")?;
        bytes.take(2)?;
        let (node, record, depth) = (bytes.number(4)?, bytes.number(2)?, bytes.number(2)?);
        bytes.take(2)?;
        let (root, count) = (bytes.address()?, bytes.number(2)?);
        if record < 5 || node < 16 + record || depth > MAX_DEPTH {
            return Err("a tree of names of an unknown layout".into());
        }
        if count == 0 {
            return Ok(());
        }
        Self { node, record }.visit(file, root, count, depth, ids)
    }

    /// Records that a node of `depth` holds at most, and its whole subtree.
    fn most(&self, width: u64, depth: u64) -> (u64, u64) {
        if depth == 0 {
            let most = (self.node - 10) / self.record;
            return (most, most);
        }
        let (_, below) = self.most(width, depth - 1);
        let most =
            (self.node - 10).saturating_sub(self.pointer(width, depth)) / (self.record + self.pointer(width, depth));
        (most, most.saturating_add((most + 1).saturating_mul(below)))
    }

    /// Bytes of the pointer to a child of a node of `depth`.
    fn pointer(&self, width: u64, depth: u64) -> u64 {
        let (records, all) = (self.most(width, 0).0, self.most(width, depth - 1).1);
        width + bytes_for(records) + if depth > 1 { bytes_for(all) } else { 0 }
    }

    fn visit(&self, file: &mut FileBytes, address: u64, count: u64, depth: u64, ids: &mut Vec<Vec<u8>>) -> Parsed<()> {
        let width = file.widths()[0] as u64;
        let pointers = if depth == 0 { 0 } else { count.saturating_add(1).saturating_mul(self.pointer(width, depth)) };
        let bytes = file.read(address, count.saturating_mul(self.record).saturating_add(pointers).saturating_add(6))?;
        let mut bytes = Bytes::of(&bytes, file.widths());
        bytes.expect(if depth == 0 { b"BTLF" } else { b"BTIN" })?;
        bytes.take(2)?;
        for _ in 0..count {
            let record = bytes.take(self.record as usize)?;
            ids.push(record[4..].to_vec()); // behind a hash of the name
        }
        for _ in 0..if depth == 0 { 0 } else { count + 1 } {
            let (records, all) = (self.most(width, 0).0, self.most(width, depth - 1).1);
            let (child, below) = (bytes.address()?, bytes.number(bytes_for(records) as usize)?);
            bytes.take(if depth > 1 { bytes_for(all) as usize } else { 0 })?;
            self.visit(file, child, below, depth - 1, ids)?;
        }
        Ok(())
    }
}

/// Bytes that a number up to `most` takes.
fn bytes_for(most: u64) -> u64 {
    u64::from(64 - most.leading_zeros()).div_ceil(8).max(1)
}
