//! The zip archive: members by their name, each checked before its bytes are believed.
//!
//! What comes out is bounded by what came in: all members that are read, however often, have [`TIMES`] as many bytes as the
//! file at most (a schema deflates to a tenth). Nothing is written anywhere, so that a name is a name and no path.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Cursor, Read};

use e2i_core::{Error, Kind, Result};
use zip::{CompressionMethod, ZipArchive};

/// Bytes that may be unpacked for each byte of the file.
const TIMES: usize = 64;

/// Members of a file; a forest of 1,000 trees has 5,000.
const MEMBERS_AT_MOST: usize = 1_000_000;

/// Members of an archive inside the file; a sparse matrix has six.
const NESTED_AT_MOST: usize = 16;

/// The name of the member that describes the others.
pub(crate) const SCHEMA: &str = "schema.json";

/// A file, opened.
pub(crate) struct Archive<'b> {
    zip: RefCell<ZipArchive<Cursor<&'b [u8]>>>,
    /// Bytes that may still be unpacked.
    left: RefCell<usize>,
    /// Which members were not read, so that nobody has compared them with their checksums.
    unread: RefCell<Vec<bool>>,
}

pub(crate) fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::BadModel, format!("the skops file is broken: {why}"))
}

impl<'b> Archive<'b> {
    pub(crate) fn open(bytes: &'b [u8]) -> Result<Self> {
        let claimed = claimed_members(bytes).ok_or_else(|| {
            let message = format!(
                "this is a truncated .skops file: of its {} bytes the last are no list of members",
                bytes.len()
            );
            Error::new(Kind::BadModel, message).with_hint("Copy it again, and compare its size with the original's.")
        })?;
        if claimed > MEMBERS_AT_MOST {
            return Err(Error::new(Kind::Limit, format!("the skops file has more than {MEMBERS_AT_MOST} members")));
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        // The library keeps one of several members of a name.
        if zip.len() != claimed {
            return Err(broken("two of its members have the same name"));
        }
        let unread = RefCell::new(vec![true; claimed]);
        Ok(Self { zip: RefCell::new(zip), left: RefCell::new(bytes.len().saturating_mul(TIMES)), unread })
    }

    /// Reads the members that nobody needed: a file with a damaged one is damaged.
    pub(crate) fn check_rest(&self) -> Result<()> {
        let mut zip = self.zip.borrow_mut();
        let unread: Vec<usize> =
            (0..zip.len()).filter(|index| self.unread.borrow().get(*index) == Some(&true)).collect();
        for index in unread {
            let name = zip.name_for_index(index).and_then(std::result::Result::ok);
            let name = name.map(std::borrow::Cow::into_owned).unwrap_or_default();
            self.member(&mut zip, index, &name)?;
        }
        Ok(())
    }
}

/// The members of a file by their names.
pub(crate) trait Members {
    /// Whether a member of this name is there.
    fn has(&self, name: &str) -> bool;

    /// The bytes of a member.
    fn read(&self, name: &str) -> Result<Vec<u8>>;

    /// The members of a member that is an archive itself, as those of a sparse matrix are.
    fn unpack(&self, name: &str) -> Result<HashMap<String, Vec<u8>>>;
}

impl Members for Archive<'_> {
    fn has(&self, name: &str) -> bool {
        self.zip.borrow().index_for_name(name).is_some()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut zip = self.zip.borrow_mut();
        let index = zip.index_for_name(name).ok_or_else(|| broken(format!("it has no member {name:?}")))?;
        let bytes = self.member(&mut zip, index, name)?;
        if let Some(unread) = self.unread.borrow_mut().get_mut(index) {
            *unread = false;
        }
        Ok(bytes)
    }

    fn unpack(&self, name: &str) -> Result<HashMap<String, Vec<u8>>> {
        let bytes = self.read(name)?;
        let inside = |error: &dyn std::fmt::Display| broken(format!("member {name:?}: {error}"));
        if claimed_members(&bytes).is_none_or(|claimed| claimed > NESTED_AT_MOST) {
            return Err(inside(&"it is no archive of a few members"));
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes.as_slice())).map_err(|error| inside(&error))?;
        let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
        let names: Vec<String> = names.collect::<std::result::Result<_, _>>().map_err(|error| inside(&error))?;
        let one =
            |(index, own): (usize, String)| Ok((own.clone(), self.member(&mut zip, index, &format!("{name}/{own}"))?));
        names.into_iter().enumerate().map(one).collect()
    }
}

impl Archive<'_> {
    /// The bytes of a member of this archive, or of one inside it: both are of what may still be unpacked.
    fn member(&self, zip: &mut ZipArchive<Cursor<&[u8]>>, index: usize, name: &str) -> Result<Vec<u8>> {
        let mut member = zip.by_index(index).map_err(|error| broken(format!("member {name:?}: {error}")))?;
        if member.encrypted() {
            return Err(broken(format!("member {name:?} is encrypted")));
        }
        if !matches!(member.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let message = format!("member {name:?} of the skops file is compressed with {}", member.compression());
            return Err(
                Error::new(Kind::Unsupported, message).with_hint("Save it again: skops.io.dump(model, 'model.skops').")
            );
        }
        let size = usize::try_from(member.size()).unwrap_or(usize::MAX);
        let mut left = self.left.borrow_mut();
        let rest = left.checked_sub(size).ok_or_else(|| {
            Error::new(Kind::Limit, format!("the skops file unpacks to more than {TIMES} times its size"))
        })?;
        let packed = usize::try_from(member.compressed_size()).unwrap_or(usize::MAX);
        // Deflate makes at most 1,032 bytes of one; what a member claims beyond it is not there.
        if size > packed.saturating_mul(1032).saturating_add(1032) {
            return Err(broken(format!("member {name:?} is shorter than it says")));
        }
        let mut bytes = Vec::with_capacity(size);
        (&mut member)
            .take(size as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(format!("member {name:?}: {error}")))?;
        if bytes.len() != size {
            return Err(broken(format!("member {name:?} has not the size that it says")));
        }
        *left = rest;
        Ok(bytes)
    }
}

/// How many members the record at the end claims.
fn claimed_members(bytes: &[u8]) -> Option<usize> {
    const RECORD: usize = 22;
    const LONGEST_COMMENT: usize = u16::MAX as usize;
    let from = bytes.len().saturating_sub(RECORD + LONGEST_COMMENT);
    let at = bytes.get(from..)?.windows(4).rposition(|window| window == b"PK\x05\x06")? + from;
    let count = |at: usize, size: usize| {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    if at + RECORD + count(at + 20, 2)? > bytes.len() {
        return None;
    }
    match count(at + 10, 2)? {
        // More than 65,534 are counted in a record of its own, which a locator just before points to.
        0xffff => {
            let locator = at.checked_sub(20)?;
            if bytes.get(locator..locator + 4)? != b"PK\x06\x07" {
                return Some(0xffff);
            }
            let record = count(locator + 8, 8)?;
            (bytes.get(record..record.checked_add(4)?)? == b"PK\x06\x06").then(|| count(record.checked_add(32)?, 8))?
        }
        members => Some(members),
    }
}

/// Whether bytes are a zip archive with a schema in it: what `skops.io` writes.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    // The schema is the last member, so that its name stands near the end, before the record.
    let has_schema = || {
        let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
        tail.windows(SCHEMA.len()).any(|window| window == SCHEMA.as_bytes())
            || ZipArchive::new(Cursor::new(bytes)).is_ok_and(|zip| zip.index_for_name(SCHEMA).is_some())
    };
    bytes.starts_with(b"PK\x03\x04") && (has_schema() || claimed_members(bytes).is_none() && first_is_an_array(bytes))
}

/// Whether the first member is named as skops names arrays, by a number: what is left of a file that was cut.
fn first_is_an_array(bytes: &[u8]) -> bool {
    let length = bytes.get(26..28).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let name = bytes.get(30..30 + length).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    let stem = name.strip_suffix(".npy").or_else(|| name.strip_suffix(".npz")).unwrap_or_default();
    stem.len() > 6 && stem.bytes().all(|digit| digit.is_ascii_digit())
}

/// Where the name of the schema is looked for first.
const TAIL: usize = 1024;
