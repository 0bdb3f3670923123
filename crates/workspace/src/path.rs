//! Which names and links may be in a tree.

use std::collections::BTreeMap;

use gix::{
    bstr::ByteSlice,
    validate::path::{component, component::Options},
};

use crate::Error;

/// The longest name that Linux file systems hold.
const NAME_MAX: usize = 255;
/// The longest symlink target that Linux takes.
pub(crate) const TARGET_MAX: u64 = 4095;
/// Links followed within one resolution: Linux's own number.
const MAX_HOPS: usize = 40;
/// Steps for all links of a tree together, so that a tree of long chains can't hold a core for hours.
const MAX_STEPS: usize = 20_000_000;

/// Checks one name. `path` is the whole path, for the error only.
pub(crate) fn check_name(name: &[u8], path: &[u8], is_symlink: bool) -> Result<(), Error> {
    if name.contains(&0) {
        return Err(Error::hostile(path, "a name with a NUL in it"));
    }
    if name.len() > NAME_MAX {
        return Err(Error::hostile(
            path,
            format!("a name of {} bytes; {NAME_MAX} are possible", name.len()),
        ));
    }
    let mode = is_symlink.then_some(component::Mode::Symlink);
    // Windows device names (`aux.c`) are ordinary files here.
    let options = Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    // To Windows a backslash ends a name, so `.git\config` is a disguise as well.
    for part in name.split(|&byte| byte == b'\\') {
        if part.is_empty() && name.contains(&b'\\') {
            continue;
        }
        gix::validate::path::component(part.as_bstr(), mode, options)
            .map_err(|refusal| Error::hostile(path, refusal.to_string()))?;
    }
    Ok(())
}

/// Whether a folder with these entries is what git takes for a bare repository.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct BareRepository {
    head: bool,
    objects: bool,
    refs: bool,
}

impl BareRepository {
    /// Takes note of an entry.
    pub(crate) fn note(&mut self, name: &[u8], is_folder: bool) {
        match name {
            b"HEAD" if !is_folder => self.head = true,
            b"objects" if is_folder => self.objects = true,
            b"refs" if is_folder => self.refs = true,
            _ => {}
        }
    }

    /// Refuses the folder when all three were seen: any git command run in it would obey its configuration.
    pub(crate) fn check(self, folder: &[u8]) -> Result<(), Error> {
        if self.head && self.objects && self.refs {
            return Err(Error::hostile(
                folder,
                "a git repository within the tree (HEAD, objects and refs)",
            ));
        }
        Ok(())
    }
}

/// Refuses links that lead out of the tree, also by way of other links, and links that lead in a circle.
pub(crate) fn check_links(links: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Error> {
    let mut steps = 0;
    for path in links.keys() {
        resolve(path, links, &mut steps).map_err(|why| Error::hostile(path, why))?;
    }
    Ok(())
}

fn resolve(
    path: &[u8],
    links: &BTreeMap<Vec<u8>, Vec<u8>>,
    steps: &mut usize,
) -> Result<(), &'static str> {
    // Names still to be walked, the next one last; and where we are.
    let mut ahead: Vec<&[u8]> = path.split(|&byte| byte == b'/').rev().collect();
    let mut here: Vec<u8> = Vec::new();
    let mut hops = 0;
    while let Some(name) = ahead.pop() {
        *steps += 1;
        if *steps > MAX_STEPS {
            return Err("too many links that lead through links");
        }
        match name {
            b"" | b"." => continue,
            b".." => {
                if here.is_empty() {
                    return Err("a link that leads out of the tree");
                }
                let parent = here.rfind_byte(b'/').unwrap_or(0);
                here.truncate(parent);
                continue;
            }
            _ => {}
        }
        let before = here.len();
        if !here.is_empty() {
            here.push(b'/');
        }
        here.extend_from_slice(name);
        let Some(target) = links.get(&here) else { continue };
        hops += 1;
        if hops > MAX_HOPS {
            return Err("a link that leads in a circle");
        }
        if target.first() == Some(&b'/') {
            return Err("a link to an absolute path");
        }
        if target.is_empty() || target.contains(&0) {
            return Err("a link to nowhere");
        }
        here.truncate(before);
        ahead.extend(target.split(|&byte| byte == b'/').rev());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain(b"main.rs")]
    #[case::dash(b"--upload-pack=x")]
    #[case::newline(b"a\nb")]
    #[case::not_utf8(b"\xff\xfe")]
    #[case::gitignore(b".gitignore")]
    #[case::git_suffix(b"x.git")]
    #[case::gitx(b".gitx")]
    #[case::device(b"aux.c")]
    #[case::colon(b"a:b")]
    #[case::backslash(b"a\\b")]
    #[case::longest(&[b'a'; 255])]
    fn ordinary_names_pass(#[case] name: &[u8]) {
        check_name(name, name, false).unwrap();
    }

    #[rstest]
    #[case::empty(b"")]
    #[case::dot(b".")]
    #[case::dotdot(b"..")]
    #[case::slash(b"a/b")]
    #[case::nul(b"a\0b")]
    #[case::git(b".git")]
    #[case::upper(b".GIT")]
    #[case::mixed(b".gIt")]
    #[case::short_name(b"git~1")]
    #[case::short_name_upper(b"GIT~1")]
    #[case::trailing_dot(b".git.")]
    #[case::trailing_space(b".git ")]
    #[case::trailing_many(b".git . .")]
    #[case::stream(b".git::$INDEX_ALLOCATION")]
    #[case::zero_width(".g\u{200c}it".as_bytes())]
    #[case::bom("\u{feff}.git".as_bytes())]
    #[case::backslash(b".git\\config")]
    #[case::behind_backslash(b"a\\.GIT\\hooks")]
    #[case::up_backslash(b"..\\..\\x")]
    #[case::too_long(&[b'a'; 256])]
    fn disguises_are_refused(#[case] name: &[u8]) {
        assert!(matches!(check_name(name, name, false), Err(Error::Hostile { .. })));
    }

    #[test]
    fn gitmodules_must_not_be_a_link() {
        check_name(b".gitmodules", b".gitmodules", false).unwrap();
        assert!(check_name(b".gitmodules", b".gitmodules", true).is_err());
    }

    fn links(pairs: &[(&str, &str)]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        pairs
            .iter()
            .map(|(path, target)| (path.as_bytes().to_vec(), target.as_bytes().to_vec()))
            .collect()
    }

    #[rstest]
    #[case::sibling(&[("a", "b")])]
    #[case::up_and_down(&[("x/y/a", "../../z/b")])]
    #[case::to_the_root(&[("x/a", "..")])]
    #[case::itself_as_folder(&[("x/a", ".")])]
    #[case::inner_up(&[("a", "b/../c")])]
    #[case::chain(&[("a", "b"), ("b", "c")])]
    fn links_inside_pass(#[case] pairs: &[(&str, &str)]) {
        check_links(&links(pairs)).unwrap();
    }

    #[rstest]
    #[case::absolute(&[("a", "/etc/passwd")])]
    #[case::up(&[("a", "..")])]
    #[case::up_deep(&[("x/y/a", "../../../etc")])]
    #[case::up_after_down(&[("a", "b/../../c")])]
    // Each alone looks as if it stayed inside.
    #[case::through_a_link(&[("a/b/up", "../.."), ("y", "a/b/up/../..")])]
    #[case::circle(&[("a", "b"), ("b", "a")])]
    #[case::itself(&[("a", "a")])]
    #[case::growing(&[("a", "a/a")])]
    #[case::empty(&[("a", "")])]
    #[case::nul(&[("a", "b\0c")])]
    fn links_outside_are_refused(#[case] pairs: &[(&str, &str)]) {
        assert!(matches!(check_links(&links(pairs)), Err(Error::Hostile { .. })));
    }
}
