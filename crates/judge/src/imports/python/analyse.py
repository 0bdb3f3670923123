# Compiles Python files and resolves their imports without running any of them.
#
# Runs as `python3 -I -S -c`, so that no module of the tree is imported in the place of the standard
# library's. The request comes in environment variables, the answer is one line of JSON after a mark.
import ast
import io
import json
import os
import re
import resource
import signal
import stat
import sys

MAX_FILE = 2 * 1024 * 1024
MAX_SCANNED = 5_000
MAX_FINDINGS = 400
MAX_MESSAGE = 400
SECONDS_PER_FILE = 20
CHILD_MEMORY = 1024 * 1024 * 1024
# What a module has without assigning it.
IMPLICIT = {
    "__name__", "__doc__", "__file__", "__path__", "__dict__", "__spec__", "__loader__",
    "__package__", "__builtins__", "__cached__", "__annotations__", "__all__", "__class__",
}
# Folders with code that is data: broken on purpose, or rendered before it is Python.
DATA_FOLDERS = {"testdata", "fixtures", "templates", "test_data", "cookiecutter", "bad_code"}
OTHERS_FOLDERS = {"node_modules", "site-packages", "dist-packages", "__pycache__", ".tox", ".nox"}
# Modules of the standard library that do something when they are imported.
NOT_IMPORTED = {"antigravity", "this", "idlelib", "turtledemo", "__main__", "test", "lib2to3"}


def read(path):
    """A file's bytes, or None: not a file, too large, not readable."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with io.open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        data = file.read(MAX_FILE + 1)
    return data if len(data) <= MAX_FILE else None


def is_file(path):
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_dir(path):
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def listed(path):
    try:
        return sorted(os.listdir(path))
    except (OSError, ValueError):
        return []


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


# ---- what a source says -------------------------------------------------------------------------


class Import:
    def __init__(self, line, level, module, name, guard):
        self.line, self.level, self.module, self.name, self.guard = line, level, module, name, guard

    def key(self):
        return (self.level, self.module, self.name)

    def text(self):
        if self.name is None:
            return f"import {self.module}"
        return f"from {'.' * self.level}{self.module} import {self.name}"


PLATFORM = {"version_info", "platform", "PY2", "PY3", "PYPY", "implementation", "python_implementation", "system"}


def condition(test):
    """Why a block under this condition may be dead."""
    for node in ast.walk(test):
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        if name == "TYPE_CHECKING":
            return "for type checkers only"
        if name in PLATFORM or (name == "name" and isinstance(node, ast.Attribute)
                                and getattr(node.value, "id", None) == "os"):
            return "for some platforms or versions only"
    return None


CATCHES = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def names_of(node):
    return {getattr(n, "attr", None) or getattr(n, "id", None) for n in ast.walk(node)}


def imports_of(tree):
    """Every import with its guard, and the modules that the file skips itself without."""
    found, skips, moves_path = [], set(), False
    stack = [(node, None) for node in reversed(tree.body)]
    while stack:
        node, guard = stack.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(Import(node.lineno, 0, alias.name, None, guard))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found.append(Import(node.lineno, node.level, node.module or "", alias.name, guard))
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            caught = any(h.type is None or names_of(h.type) & CATCHES for h in node.handlers)
            inner = guard or ("guarded by `except ImportError`" if caught else None)
            for part in (node.body, node.handlers):
                stack.extend((child, inner) for child in part)
            for part in (node.orelse, node.finalbody):
                stack.extend((child, guard) for child in part)
            continue
        elif isinstance(node, ast.If):
            inner = guard or condition(node.test)
            stack.append((node.test, guard))
            stack.extend((child, inner) for child in node.body + node.orelse)
            continue
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            caught = any(
                isinstance(item.context_expr, ast.Call) and names_of(item.context_expr) & CATCHES
                for item in node.items
            )
            inner = guard or ("where an ImportError is expected" if caught else None)
            stack.extend((item.context_expr, guard) for item in node.items)
            stack.extend((child, inner) for child in node.body)
            continue
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            if called == "importorskip" and node.args and isinstance(node.args[0], ast.Constant):
                skips.add(str(node.args[0].value).split(".")[0])
            if called in ("insert", "append", "extend", "addsitedir") and "path" in names_of(node.func):
                moves_path = True
        stack.extend((child, guard) for child in ast.iter_child_nodes(node))
    return sorted(found, key=lambda i: i.line), skips, moves_path


class Names:
    def __init__(self):
        self.names, self.stars, self.all, self.is_open = set(), [], None, False


def names_in(tree):
    """What a module binds at its top, and whether that is all."""
    out = Names()
    stack = [(node, True) for node in tree.body]
    while stack:
        node, top = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if top:
                out.names.add(node.name)
                if node.name == "__getattr__":
                    out.is_open = True
            stack.extend((child, False) for child in ast.iter_child_nodes(node))
            continue
        if isinstance(node, ast.Lambda):
            stack.extend((child, False) for child in ast.iter_child_nodes(node))
            continue
        if isinstance(node, ast.Global):
            out.names.update(node.names)
        elif isinstance(node, ast.Import) and top:
            out.names.update((a.asname or a.name.split(".")[0]) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and top:
            for a in node.names:
                if a.name == "*":
                    out.stars.append((node.level, node.module or ""))
                else:
                    out.names.add(a.asname or a.name)
        elif isinstance(node, ast.Name):
            if top and isinstance(node.ctx, ast.Store):
                out.names.add(node.id)
            # The module is changed by other means than by assigning.
            if node.id in ("globals", "exec", "vars", "lazy_import"):
                out.is_open = True
        elif isinstance(node, ast.Attribute) and node.attr in ("modules", "lazy_import", "attach", "attach_stub"):
            out.is_open = True
        elif isinstance(node, ast.ExceptHandler) and node.name and top:
            out.names.add(node.name)
        elif type(node).__name__ in ("MatchAs", "MatchStar", "MatchMapping") and top:
            name = getattr(node, "name", None) or getattr(node, "rest", None)
            if name:
                out.names.add(name)
        if top and isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = getattr(node, "targets", None) or [node.target]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                literal = literals(node.value)
                if literal is None or (isinstance(node, ast.AugAssign) and out.all is None):
                    out.all = out.all if isinstance(node, ast.AugAssign) and literal else False
                elif out.all is not False:
                    out.all = (out.all or set()) | literal
        stack.extend((child, top) for child in ast.iter_child_nodes(node))
    return out


def literals(node):
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        if all(isinstance(e, ast.Constant) and isinstance(e.value, str) for e in node.elts):
            return {e.value for e in node.elts}
    return None


def parse(data, path):
    return compile(data, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)


# ---- where modules are --------------------------------------------------------------------------


class Found:
    """A module: `kind` is py, package, namespace, binary, library."""

    def __init__(self, kind, path, module=None):
        self.kind, self.path, self.module = kind, path, module


class Resolver:
    def __init__(self, root, files):
        self.root, self.files = root, files
        self.cache, self.sources = {}, {}
        self.stems = None
        self.site = self.site_folders()
        self.roots = self.source_roots()

    def inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def relative(self, path):
        return path[len(self.root) + 1:] if self.inside(path) and path != self.root else None

    def source_roots(self):
        roots = [self.root, self.root + "/src", self.root + "/lib"]
        for entry in os.environ.get("PYTHONPATH", "").split(":"):
            roots.append(os.path.normpath(os.path.join(self.root, entry or ".")))
        projects = ("setup.py", "pyproject.toml", "setup.cfg", "conftest.py")
        for path in self.files:
            folder, _, name = path.rpartition("/")
            if name in projects and not OTHERS_FOLDERS & set(folder.split("/")):
                base = self.root + "/" + folder if folder else self.root
                roots.append(self.package_root(base))
                roots.append(base + "/src")
        for path in ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini"):
            text = (read(self.root + "/" + path) or b"").decode("utf-8", "replace")
            for match in re.finditer(r"(?m)^\s*(?:pythonpath|where|package[-_]dir|python_paths|mypy_path)\s*=\s*(.{0,300})", text):
                for word in re.findall(r"[\w./-]+", match.group(1)):
                    roots.append(os.path.normpath(os.path.join(self.root, word)))
        for folder in self.site:
            for name in listed(folder):
                if name.endswith(".pth"):
                    for line in (read(folder + "/" + name) or b"").decode("utf-8", "replace").splitlines()[:100]:
                        if line.strip() and not line.startswith(("#", "import")):
                            roots.append(os.path.normpath(os.path.join(folder, line.strip())))
        unique = []
        for root in roots:
            if root not in unique and root not in self.site and is_dir(root):
                unique.append(root)
        return unique

    def package_root(self, folder):
        """The first folder upwards that is no package: where pytest and scripts start."""
        while folder != self.root and self.inside(folder) and is_file(folder + "/__init__.py"):
            folder = os.path.dirname(folder)
        return folder

    def site_folders(self):
        environments, system = [], True
        candidates = [os.environ.get("VIRTUAL_ENV", ""), ".venv", "venv", "env", ".env"]
        candidates += [os.path.dirname(p) for p in os.environ.get("PATH", "").split(":") if p.endswith("/bin")]
        for candidate in candidates:
            folder = os.path.normpath(os.path.join(self.root, candidate))
            config = read(folder + "/pyvenv.cfg")
            if candidate and config is not None and folder not in environments:
                environments.append(folder)
                system = b"include-system-site-packages = true" in config.lower()
        folders = []
        bases = environments + [os.environ.get("PYTHONUSERBASE", "")]
        for base in [b for b in bases if b]:
            for library in ("lib", "lib64", "Lib"):
                for name in listed(base + "/" + library):
                    if re.fullmatch(r"python3\.\d+t?", name):
                        folders.append(f"{base}/{library}/{name}/site-packages")
        for variable in ("PIP_TARGET",):
            if os.environ.get(variable):
                folders.append(os.path.normpath(os.path.join(self.root, os.environ[variable])))
        if system:
            import site
            folders += site.getsitepackages()
            folders.append("/usr/lib/python3/dist-packages")
        self.environments = environments
        unique = []
        for folder in folders:
            if is_dir(folder) and os.path.realpath(folder) not in map(os.path.realpath, unique):
                unique.append(folder)
        return unique

    def child(self, folders, name):
        """A module of this name in one of these folders; namespace portions are gathered."""
        portions = []
        for folder in folders:
            at = folder + "/" + name
            if is_file(at + "/__init__.py"):
                return Found("package", at)
            if is_dir(at) and any(n.startswith("__init__.") and n.endswith((".so", ".pyc", ".pyi", ".pyx")) for n in listed(at)):
                return Found("binary", at)
            if is_file(at + ".py"):
                return Found("py", at + ".py")
            key = ("names", folder)
            if key not in self.cache:
                self.cache[key] = listed(folder)
            prefix = name + "."
            if any(n.startswith(prefix) and n.endswith((".so", ".pyd", ".pyc", ".pyx", ".pyi", ".pxd"))
                   for n in self.cache[key]):
                return Found("binary", at)
            if is_dir(at):
                portions.append(at)
        portions = [p for p in portions if self.has_python(p)]
        return Found("namespace", portions) if portions else None

    def has_python(self, folder, depth=3):
        key = ("python", folder)
        if key not in self.cache:
            names = listed(folder)[:500]
            self.cache[key] = any(n.endswith((".py", ".so", ".pyi", ".pyx")) for n in names) or (
                depth > 0 and any(is_dir(folder + "/" + n) and self.has_python(folder + "/" + n, depth - 1)
                                  for n in names if not n.startswith(".")))
        return self.cache[key]

    def below(self, found, name):
        if found.kind == "package":
            return self.child([found.path], name)
        if found.kind == "namespace":
            return self.child(found.path, name)
        return None

    def top(self, name, importer):
        """Where `import name` leads from this file, best first: a list, as a test folder may shadow."""
        own = self.package_root(os.path.dirname(importer))
        key = ("top", name, own)
        if key in self.cache:
            return self.cache[key]
        out, namespaces = [], []
        folders = [own] + [r for r in self.roots if r != own]
        for folder in folders:
            found = self.child([folder], name)
            if found:
                (namespaces if found.kind == "namespace" else out).append(found)
        if name in sys.builtin_module_names or name in stdlib():
            out.append(Found("library", None, name))
        found = self.child(self.site, name)
        if found:
            (namespaces if found.kind == "namespace" else out).append(found)
        if namespaces and not out:
            out.append(Found("namespace", [p for n in namespaces for p in n.path]))
        self.cache[key] = out
        return out

    def elsewhere(self, name):
        """A file of the tree that would be this module if its folder were searched."""
        if self.stems is None:
            self.stems = {}
            for path in self.files:
                folder, _, file = path.rpartition("/")
                if file == "__init__.py":
                    self.stems.setdefault(folder.rpartition("/")[2], path)
                elif file.endswith(".py"):
                    self.stems.setdefault(file[:-3], path)
        return self.stems.get(name)

    def source(self, path):
        """Parsed, or None when that cannot be."""
        if path not in self.sources:
            tree = None
            data = read(path)
            if data is not None:
                try:
                    tree = parse(data, path)
                except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError):
                    tree = None
            self.sources[path] = names_in(tree) if tree is not None else None
        return self.sources[path]

    def has_name(self, found, name, seen=None):
        """True, False, or None when nobody can know."""
        if found.kind == "library":
            return library_has(found.module, name)
        if found.kind in ("binary",):
            return None
        if self.below(found, name):
            return True
        if found.kind == "namespace":
            return False
        path = found.path + "/__init__.py" if found.kind == "package" else found.path
        names = self.source(path)
        if names is None:
            return None
        if name in names.names or name in IMPLICIT:
            return True
        if names.is_open:
            return None
        seen = seen or set()
        if path in seen:
            return False
        seen.add(path)
        unknown = False
        for level, module in names.stars:
            target = self.absolute(path, level, module)
            if not target:
                unknown = True
                continue
            answer = self.star_has(target, name, seen)
            if answer:
                return True
            unknown = unknown or answer is None
        return None if unknown else False

    def star_has(self, found, name, seen):
        if found.kind in ("py", "package"):
            path = found.path + "/__init__.py" if found.kind == "package" else found.path
            names = self.source(path)
            if names is None or names.all is False:
                return None
            if names.all is not None and name not in names.all:
                return None if names.is_open else False
        if name.startswith("_") and found.kind != "py":
            return None
        return self.has_name(found, name, seen)

    def absolute(self, importer, level, module):
        """The module that a star import names."""
        if level:
            folder = os.path.dirname(importer)
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            found = Found("package", folder) if is_file(folder + "/__init__.py") else Found("namespace", [folder])
            parts = module.split(".") if module else []
        else:
            parts = module.split(".")
            tops = self.top(parts[0], importer)
            if not tops:
                return None
            found, parts = tops[0], parts[1:]
        for part in parts:
            found = step(self, found, part)
            if found is None:
                return None
        return found


def stdlib():
    known = getattr(sys, "stdlib_module_names", None)
    if known is None:
        known = set()
        for folder in sys.path:
            known.update(n.split(".")[0] for n in listed(folder) + listed(folder + "/lib-dynload"))
    return known


def library(module):
    """A module of the standard library, imported: it is the interpreter's own code."""
    if module.split(".")[0] in NOT_IMPORTED:
        return None
    out = sys.stdout
    sys.stdout = io.StringIO()
    try:
        return __import__(module, fromlist=["_"])
    except ImportError:
        return None
    except BaseException:
        return None
    finally:
        sys.stdout = out


def library_has(module, name):
    loaded = library(module)
    if loaded is None:
        return None
    if hasattr(loaded, name) or library(module + "." + name) is not None:
        return True
    return False


def step(resolver, found, part):
    """One component further; None when there is none, an unknown module when nobody can know."""
    if found.kind == "binary":
        return found
    if found.kind == "library":
        if library(found.module) is None:
            return Found("binary", None)
        dotted = found.module + "." + part
        return Found("library", None, dotted) if library(dotted) is not None else None
    below = resolver.below(found, part)
    if below:
        return below
    if found.kind == "package":
        names = resolver.source(found.path + "/__init__.py")
        # `__path__`, `sys.modules` and the like make modules that are no files.
        if names is None or names.is_open or "__path__" in names.names:
            return Found("binary", None)
    if found.kind == "py":
        names = resolver.source(found.path)
        if names is None or names.is_open:
            return Found("binary", None)
    return None


# ---- declared packages --------------------------------------------------------------------------

NAME = re.compile(r"\s*['\"]?([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def requirement(text):
    match = NAME.match(text)
    return normal(match.group(1)) if match and not text.lstrip().startswith(("#", "-", "git+", "http")) else None


def toml_of(text):
    try:
        import tomllib
        return tomllib.loads(text)
    except Exception:
        return None


def declared_in(name, text):
    """Packages that a manifest names, with the line of each."""
    out = {}

    def add(package, line=None):
        if package:
            out.setdefault(package, line or line_of(text, package))

    if name.endswith((".txt", ".in")):
        for number, line in enumerate(text.splitlines(), 1):
            egg = re.search(r"#egg=([\w.-]+)", line)
            add(normal(egg.group(1)) if egg else requirement(line), number)
    elif name == "pyproject.toml" or name == "Pipfile":
        document = toml_of(text)
        if document is None:
            for word in re.findall(r"(?m)^\s*['\"]?([A-Za-z0-9][\w.-]*)", text):
                add(normal(word))
            return out
        if name == "Pipfile":
            for section, content in document.items():
                if section not in ("source", "requires", "scripts") and isinstance(content, dict):
                    for package in content:
                        add(normal(package))
            return out
        project = document.get("project") or {}
        tool = document.get("tool") or {}
        lists = [project.get("dependencies")]
        for group in (project.get("optional-dependencies"), document.get("dependency-groups"),
                      (tool.get("pdm") or {}).get("dev-dependencies")):
            if isinstance(group, dict):
                lists += group.values()
        lists.append((tool.get("uv") or {}).get("dev-dependencies"))
        for items in lists:
            for item in items if isinstance(items, list) else []:
                add(requirement(item) if isinstance(item, str) else None)
        poetry = tool.get("poetry") or {}
        tables = [poetry.get("dependencies"), poetry.get("dev-dependencies")]
        for group in (poetry.get("group") or {}).values():
            tables.append(group.get("dependencies") if isinstance(group, dict) else None)
        for environment in ((tool.get("hatch") or {}).get("envs") or {}).values():
            for item in (environment.get("dependencies") or []) if isinstance(environment, dict) else []:
                add(requirement(item) if isinstance(item, str) else None)
        for table in tables:
            for package in table if isinstance(table, dict) else []:
                if package != "python":
                    add(normal(package))
    elif name == "setup.py":
        try:
            tree = parse(text.encode(), name)
        except Exception:
            return out
        for node in ast.walk(tree):
            if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
                for item in node.elts:
                    if isinstance(item, ast.Constant) and isinstance(item.value, str):
                        add(requirement(item.value), item.lineno)
    elif name == "setup.cfg" or name == "tox.ini" or name == "environment.yml":
        for number, line in enumerate(text.splitlines(), 1):
            add(requirement(line.split("=", 1)[-1] if "requires" in line else line.replace("- ", "", 1)), number)
    return out


def line_of(text, package):
    pattern = re.sub("-", "[-_.]+", re.escape(package).replace("\\-", "-"))
    match = re.search(rf"(?i)(?<![\w-]){pattern}(?![\w-])", text)
    return text.count("\n", 0, match.start()) + 1 if match else 1


def is_manifest(path):
    folder, _, name = path.rpartition("/")
    if name in ("pyproject.toml", "Pipfile", "setup.py", "setup.cfg", "tox.ini", "environment.yml"):
        return True
    return name.endswith((".txt", ".in")) and ("require" in name or "require" in folder or "constraints" in name)


LOCKS = {"poetry.lock": "pyproject.toml", "uv.lock": "pyproject.toml", "pdm.lock": "pyproject.toml",
         "Pipfile.lock": "Pipfile"}


def locked_in(name, text):
    if name == "Pipfile.lock":
        try:
            document = json.loads(text)
        except ValueError:
            return None
        return {normal(p) for s, c in document.items() if s != "_meta" and isinstance(c, dict) for p in c}
    return {normal(n) for n in re.findall(r'(?m)^name\s*=\s*"([^"\n]{1,200})"', text)}


# Names under which a package is imported that nothing short of installing it tells.
OTHER_NAMES = {
    "yaml": "pyyaml", "pil": "pillow", "cv2": "opencv-python", "sklearn": "scikit-learn",
    "skimage": "scikit-image", "bs4": "beautifulsoup4", "attr": "attrs", "jwt": "pyjwt",
    "crypto": "pycryptodome", "git": "gitpython", "pkg-resources": "setuptools", "-pytest": "pytest",
    "openssl": "pyopenssl", "serial": "pyserial", "zmq": "pyzmq", "mysqldb": "mysqlclient",
    "rest-framework": "djangorestframework", "nacl": "pynacl", "usb": "pyusb", "ldap": "python-ldap",
}


def matches(module, packages):
    """A declared package that may be what installs this module. Better one too many than a false
    accusation: the tests import it anyway."""
    top = normal(module.split(".")[0])
    dotted = normal(module)
    exact = [p for p in packages if p in (top, dotted)]
    other = OTHER_NAMES.get(top) or OTHER_NAMES.get("-" + top.strip("-"))
    if exact or (other and other in packages):
        return exact[0] if exact else other
    bare = lambda name: re.sub(r"^(python3?-|py(?=.))|(-python3?|-py3?|-binary|-headless|[\d-]+)$", "", name).replace("-", "")
    for package in packages:
        if bare(package) == bare(top) and bare(top):
            return package
        if package.startswith(top + "-") and dotted.startswith(package):
            return package
        # google-cloud-storage is `google.cloud.storage`, opencv-python-headless is `cv2`.
        if other and package.startswith(other):
            return package
        if "-" in package and package.split("-")[0] == top and "." in module:
            return package
    return None


# ---- the check ----------------------------------------------------------------------------------


class Check:
    def __init__(self, request):
        self.root = os.getcwd()
        self.changed = {c["path"] for c in request["changed"]}
        self.deleted = set(request["deleted"])
        self.base = request["base"]
        self.files = self.walk()
        self.resolver = Resolver(self.root, self.files)
        self.manifests = {}
        self.findings, self.not_installed, self.unchecked = [], [], []
        self.files_checked = 0
        self.imports_checked = 0

    def walk(self):
        out = []
        for folder, folders, names in os.walk(self.root):
            relative = folder[len(self.root) + 1:]
            folders[:] = sorted(
                f for f in folders
                if f not in OTHERS_FOLDERS and f != ".git" and not is_file(folder + "/" + f + "/pyvenv.cfg")
            )
            for name in sorted(names):
                path = relative + "/" + name if relative else name
                try:
                    path.encode()
                except UnicodeEncodeError:
                    continue
                if name.endswith((".py", ".pyi")) or is_manifest(path) or name in LOCKS:
                    out.append(path)
            if len(out) > 50_000:
                break
        return out

    def add(self, rule, level, path, line, message, detail=None):
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append({
                "rule": rule, "level": level, "path": path, "line": max(1, int(line or 1)),
                "message": message[:MAX_MESSAGE], "detail": detail[:2000] if detail else None,
            })

    def packages(self):
        if "all" not in self.manifests:
            out, where = {}, []
            for path in self.files:
                if is_manifest(path) or path.rpartition("/")[2] in LOCKS:
                    name = path.rpartition("/")[2]
                    text = (read(self.root + "/" + path) or b"").decode("utf-8", "replace")
                    named = locked_in(name, text) if name in LOCKS else declared_in(name, text)
                    if named:
                        out.update(dict.fromkeys(named))
                    where.append(path)
            self.manifests["all"] = (set(out), where)
        return self.manifests["all"]

    def syntax(self, path, data):
        """The tree of a file, or None after a finding."""
        level = "failure"
        if DATA_FOLDERS & set(path.split("/")[:-1]):
            level = "warning"
        try:
            tree = parse(data, path)
            if not path.endswith(".pyi"):
                compile(data, path, "exec", dont_inherit=True)
            return tree
        except SyntaxError as error:
            base = self.base.get(path)
            if base is not None and not compiles(base.encode(), path):
                level = "notice"
            text = (error.text or "").rstrip()[:300]
            line = error.lineno or 1
            self.add("syntax_error", level, path, line, f"{type(error).__name__}: {error.msg}", text or None)
        except ValueError as error:
            line = data[:data.find(b"\0")].count(b"\n") + 1 if b"\0" in data else 1
            self.add("syntax_error", level, path, line, f"not Python: {error}")
        except (RecursionError, MemoryError) as error:
            self.add("syntax_error", level, path, 1, f"the interpreter cannot compile it: {type(error).__name__}")
        return None

    def file(self, path):
        data = read(self.root + "/" + path)
        if data is None:
            self.unchecked.append(f"{path}: not a readable file of at most {MAX_FILE // 1024} KiB")
            return
        tree = self.syntax(path, data)
        self.files_checked += 1
        if tree is None or path.endswith(".pyi"):
            return
        imports, skips, moves = imports_of(tree)
        before = self.imports_before(path)
        for item in imports:
            if item.module.split(".")[0] in skips:
                item.guard = "after importorskip"
            self.imports_checked += 1
            self.resolve(path, item, before, moves)

    def imports_before(self, path):
        base = self.base.get(path)
        if base is None:
            return set()
        try:
            return {i.key() for i in imports_of(parse(base.encode(), path))[0]}
        except Exception:
            return set()

    def resolve(self, path, item, before, moves=False):
        importer = self.root + "/" + path
        if item.module == "__future__":
            return
        if item.level:
            folder = os.path.dirname(importer)
            for _ in range(item.level - 1):
                folder = os.path.dirname(folder)
            if not self.resolver.inside(folder):
                self.problem("unresolved_import", path, item, before, "it leads out of the tree", [])
                return
            kind = is_file(folder + "/__init__.py")
            tops = [Found("package", folder) if kind else Found("namespace", [folder])]
            parts = item.module.split(".") if item.module else []
            shown = "." * item.level + item.module
        else:
            parts = item.module.split(".")
            tops = self.resolver.top(parts[0], importer)
            if not tops:
                self.no_top(path, item, before, moves)
                return
            parts, shown = parts[1:], item.module
        missing, candidates = None, []
        for top in tops:
            found, done = top, []
            for part in parts:
                done.append(part)
                candidates.append((found, part))
                found = step(self.resolver, found, part)
                if found is None:
                    break
            if found is None:
                missing = missing or ("unresolved_import", f"there is no module `{shown}`")
                continue
            if item.name in (None, "*"):
                return
            candidates.append((found, item.name))
            answer = self.resolver.has_name(found, item.name)
            if answer is not False:
                return
            where = self.where(found)
            missing = ("unknown_symbol", f"{where} has no `{item.name}`")
        rule, why = missing
        # `import google.cloud.x`: a further package of a namespace that is here only in part.
        if not item.level and all(t.kind == "namespace" for t in tops):
            package = matches(item.module, self.packages()[0])
            if package:
                self.missing_package(package)
                return
        self.problem(rule, path, item, before, why, candidates)

    def where(self, found):
        if found.kind == "library":
            return f"`{found.module}` of the standard library (Python {version()})"
        path = found.path[0] if found.kind == "namespace" else found.path
        path = path + "/__init__.py" if found.kind == "package" else path
        for folder in self.resolver.site:
            if path.startswith(folder + "/"):
                return f"the installed `{path[len(folder) + 1:]}`"
        return f"`{self.resolver.relative(path) or path}`"

    def was_so(self, path, item, before, candidates):
        """Whether the same import was there before, and no better."""
        if path not in self.changed and path not in self.deleted:
            same = True
        else:
            same = item.key() in before
        if not same:
            return False
        touched = self.touched(candidates)
        return not touched

    def touched(self, candidates):
        """Whether the change took away what one of these would have been."""
        for found, name in candidates:
            folders = found.path if found.kind == "namespace" else [found.path] if found.kind == "package" else []
            for folder in folders:
                relative = self.resolver.relative(folder)
                prefix = relative + "/" if relative else ""
                if prefix + name + ".py" in self.deleted or prefix + name + "/__init__.py" in self.deleted:
                    return True
            if found.kind in ("py", "package"):
                file = found.path + "/__init__.py" if found.kind == "package" else found.path
                relative = self.resolver.relative(file)
                if relative in self.changed and name in self.names_before(relative):
                    return True
        return False

    def names_before(self, path):
        base = self.base.get(path)
        if base is None:
            return set()
        try:
            return names_in(parse(base.encode(), path)).names
        except Exception:
            return set()

    def problem(self, rule, path, item, before, why, candidates):
        if item.guard:
            self.add(rule, "notice", path, item.line, f"`{item.text()}`: {why} ({item.guard})")
        elif before is not None and self.was_so(path, item, before, candidates):
            self.add(rule, "notice", path, item.line, f"`{item.text()}`: {why} (as before the change)")
        else:
            self.add(rule, "failure", path, item.line, f"`{item.text()}`: {why}")

    def missing_package(self, package):
        if package not in self.not_installed:
            self.not_installed.append(package)

    def no_top(self, path, item, before, moves):
        top = item.module.split(".")[0]
        gone = self.deleted_top(top, self.root + "/" + path)
        if gone:
            self.problem("unresolved_import", path, item, None, f"the change deletes `{gone}`", [])
            return
        elsewhere = self.resolver.elsewhere(top)
        if elsewhere and elsewhere != path:
            level = "notice" if moves or item.guard or item.key() in before else "warning"
            self.add("unresolved_import", level, path, item.line,
                     f"`{item.text()}`: `{elsewhere}` is not where imports of this file are searched")
            return
        packages, where = self.packages()
        package = matches(item.module, packages)
        if package:
            if not item.guard:
                self.missing_package(package)
            return
        # Who can run them has it; a test command alone names it in many repositories.
        if normal(top) == "pytest":
            if not item.guard:
                self.missing_package("pytest")
            return
        named = " or ".join(sorted({w.rpartition("/")[2] for w in where})[:4]) or "a manifest (there is none)"
        why = (f"no such module in the tree, the standard library or the installed packages, "
               f"and no package of that name in {named}")
        if item.guard or item.key() in before or self.others_import(top, path):
            tail = item.guard or "as before the change"
            self.add("hallucinated_dependency", "notice", path, item.line, f"`{item.text()}`: {why} ({tail})")
            if not item.guard:
                self.missing_package(normal(top))
            return
        self.add("hallucinated_dependency", "failure", path, item.line, f"`{item.text()}`: {why}")

    def deleted_top(self, top, importer):
        own = self.resolver.package_root(os.path.dirname(importer))
        for root in [own] + self.resolver.roots:
            relative = self.resolver.relative(root)
            if relative is None and root != self.root:
                continue
            prefix = relative + "/" if relative else ""
            for name in (f"{prefix}{top}.py", f"{prefix}{top}/__init__.py"):
                if name in self.deleted:
                    return name
        return None

    def unchanged(self):
        count = 0
        for path in self.files:
            if path.endswith(".py") and path not in self.changed:
                count += 1
                if count > MAX_SCANNED:
                    self.unchecked.append(f"unchanged files beyond the first {MAX_SCANNED}")
                    return
                data = read(self.root + "/" + path)
                if data is not None:
                    yield path, data

    def others_import(self, top, _path):
        """Whether an unchanged file imports it too: then it is no invention of this change."""
        key = ("others", top)
        if key not in self.manifests:
            pattern = re.compile(rb"(?m)^[ \t]*(?:import|from)[ \t]+" + re.escape(top.encode()) + rb"\b")
            self.manifests[key] = any(pattern.search(data) for _, data in self.unchanged())
        return self.manifests[key]

    def removed(self):
        """Unchanged files that import what the change took away."""
        gone = set()
        for path in self.deleted:
            if path.endswith(".py"):
                name = path.rpartition("/")[2][:-3]
                gone.add(path.split("/")[-2] if name == "__init__" and "/" in path else name)
        for path in self.changed:
            if path.endswith(".py") and path in self.base:
                now = self.resolver.source(self.root + "/" + path)
                if now is not None:
                    gone |= self.names_before(path) - now.names
        gone = {g for g in gone if g.isidentifier()}
        if not gone:
            return
        words = re.compile(rb"\b(?:" + b"|".join(re.escape(g.encode()) for g in sorted(gone)[:2000]) + rb")\b")
        for path, data in self.unchanged():
            if b"import" not in data or not words.search(data):
                continue
            try:
                imports = imports_of(parse(data, path))[0]
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for item in imports:
                text = set(item.module.split(".")) | {item.name}
                if text & gone:
                    self.resolve_unchanged(path, item)

    def resolve_unchanged(self, path, item):
        """Only what the change broke is worth a word in a file that it did not touch."""
        kept = self.findings
        self.findings = []
        not_installed = list(self.not_installed)
        self.resolve(path, item, {item.key()})
        broken = [f for f in self.findings if f["level"] == "failure"]
        self.findings, self.not_installed = kept, not_installed
        for finding in broken:
            if "the change deletes" not in finding["message"]:
                finding["message"] += " any more"
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(finding)

    def locks(self):
        """Packages that a manifest newly names and its lock does not."""
        for lock in self.files:
            folder, slash, name = lock.rpartition("/")
            if name not in LOCKS:
                continue
            manifest = folder + slash + LOCKS[name]
            if manifest not in self.changed:
                continue
            text = (read(self.root + "/" + manifest) or b"").decode("utf-8", "replace")
            locked = locked_in(name, (read(self.root + "/" + lock) or b"").decode("utf-8", "replace"))
            if not locked:
                self.unchecked.append(f"{lock}: it cannot be read as a lock file")
                continue
            before = declared_in(LOCKS[name], self.base.get(manifest) or "")
            for package, line in declared_in(LOCKS[name], text).items():
                if package not in before and package not in locked:
                    self.add("hallucinated_dependency", "failure", manifest, line,
                             f"`{package}` is named in {manifest} and not in {lock}")


def compiles(data, path):
    try:
        compile(data, path, "exec", dont_inherit=True)
        return True
    except Exception:
        return False


def version():
    return ".".join(map(str, sys.version_info[:3]))


FIELDS = ("findings", "not_installed", "unchecked")


def apart(check, work, what):
    """Does it in a child, so that a file that crashes the interpreter costs no other file its check."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(SECONDS_PER_FILE)
            for field in FIELDS:
                setattr(check, field, [])
            check.files_checked = check.imports_checked = 0
            work()
            answer = {field: getattr(check, field) for field in FIELDS}
            answer["counts"] = [check.files_checked, check.imports_checked]
            with io.open(send, "w") as pipe:
                json.dump(answer, pipe)
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(send)
    with io.open(receive, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    try:
        if status != 0:
            raise ValueError
        answer = json.loads(data)
    except ValueError:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an error"
        check.add("check_failed", "failure", what, 1, f"the analysis of this file ended with {how}")
        check.unchecked.append(f"{what}: its analysis ended with {how}")
        return
    for field in FIELDS:
        for item in answer[field]:
            if item not in getattr(check, field):
                getattr(check, field).append(item)
    check.files_checked += answer["counts"][0]
    check.imports_checked += answer["counts"][1]


def main():
    parts, number = [], 0
    while f"BOOTY_REQUEST_{number}" in os.environ:
        parts.append(os.environ[f"BOOTY_REQUEST_{number}"])
        number += 1
    request = json.loads("".join(parts))
    sys.setrecursionlimit(3000)
    check = Check(request)
    for changed in request["changed"]:
        path = changed["path"]
        if path.endswith((".py", ".pyi")):
            apart(check, lambda: check.file(path), path)
    apart(check, check.removed, "")
    apart(check, check.locks, "")
    found = check.findings
    order = {"failure": 0, "warning": 1, "notice": 2}
    found.sort(key=lambda f: (order[f["level"]], f["path"], f["line"]))
    answer = {
        "version": version(), "findings": found[:MAX_FINDINGS], "files": check.files_checked,
        "imports": check.imports_checked, "not_installed": check.not_installed[:200],
        "unchecked": check.unchecked[:200],
        "environments": [check.resolver.relative(e) or e for e in check.resolver.environments],
    }
    sys.stdout.write("\n" + request["mark"] + json.dumps(answer) + "\n")


main()
