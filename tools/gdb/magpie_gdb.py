"""The tasks of a magpie program, for gdb: `source magpie_gdb.py`, then `help magpie`. The page: docs/debugging.md.

Works on a stopped process and on a core file: it reads memory, and calls nothing in the program.

What is read, and how it hangs together:

  live_schedulers::all()  ->  scheduler  ->  registry_ (every spawned task) and workers_ (what runs, what is ready)
  task_context::word_     ->  the waiter the task is suspended at  ->  its coroutine's frame
  a frame's promise       ->  continuation_, the frame that awaits it; the last one is the task's first

Frames are linked from the innermost one outwards. Where the innermost one is not known (the task runs, or waits where
it cannot be cancelled) the frames are searched for the one that names them as continuation. Children of a combinator
are in no list: their records lie in the frame that awaits them or in memory that it points at, and are recognised by
their context, which is their own address, and their parent.

Offsets come from the debug information, dynamic types from the run-time type information in memory. What cannot be read
is shown as <unreadable>, and the rest is shown all the same.
"""

import argparse
import os
import re
import shlex
import struct
import time

import gdb

NS = "magpie::detail::"
SHOWN_TASKS = 200        # unless --limit says
SHOWN_FRAMES = 40        # of one chain: the rest of a longer one is counted
MOST_FRAMES = 100_000    # a chain that is longer goes in a circle
FRAME_GRANULE = 32  # of a size class: frame_alloc.hpp
UNKNOWN_FRAME_SIZE = 1024
WINDOW = 1024            # how far behind a pointer a child's record is looked for
WAITER_MASK = ((1 << 48) - 1) & ~15

if "UTF-8" in gdb.execute("show host-charset", to_string=True):
    BRANCH, LAST, BAR, DOT = "├─ ", "└─ ", "│  ", " · "
else:
    BRANCH, LAST, BAR, DOT = "|- ", "`- ", "|  ", " - "


class Unreadable(Exception):
    """Memory that is not there, or that does not hold what it should."""


class NoInformation(gdb.GdbError):
    """Nothing can be shown at all; the text says why."""


# ---------------------------------------------------------------------------------------------- memory


class Memory:
    """The program's memory, page by page; each is read once a command."""

    PAGE = 4096
    MOST_PAGES = 1 << 16

    def __init__(self):
        self.inferior = gdb.selected_inferior()
        self.pages = {}

    def page(self, number):
        found = self.pages.get(number)
        if found is None:
            if len(self.pages) >= self.MOST_PAGES:
                self.pages.clear()
            try:
                found = self.inferior.read_memory(number * self.PAGE, self.PAGE).tobytes()
            except (gdb.error, OverflowError, ValueError):
                found = b""
            self.pages[number] = found
        return found

    def read(self, address, size):
        if address <= 0 or address + size >= 1 << 64:
            raise Unreadable(f"{address:#x}")
        number, offset = divmod(address, self.PAGE)
        data = self.page(number)[offset:offset + size]
        while len(data) < size:
            number += 1
            more = self.page(number)
            if not more or len(data) == 0:
                raise Unreadable(f"{address:#x}")
            data += more[:size - len(data)]
        return data

    def read_some(self, address, size):
        """What can be read of it, in whole words."""
        data = b""
        while len(data) < size:
            number, offset = divmod(address + len(data), self.PAGE)
            part = self.page(number)[offset:offset + size - len(data)] if address > 0 else b""
            if not part:
                break
            data += part
        return data[:len(data) & ~7]

    def words(self, address, size):
        data = self.read_some(address, size)
        return struct.unpack(f"<{len(data) // 8}Q", data)

    def u8(self, address):
        return self.read(address, 1)[0]

    def u16(self, address):
        return struct.unpack("<H", self.read(address, 2))[0]

    def u32(self, address):
        return struct.unpack("<I", self.read(address, 4))[0]

    def i32(self, address):
        return struct.unpack("<i", self.read(address, 4))[0]

    def u64(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def i64(self, address):
        return struct.unpack("<q", self.read(address, 8))[0]

    def text(self, address, most=400):
        """A C string."""
        data = self.read_some(address & ~7, most + 8)[address & 7:]
        if not data:
            raise Unreadable(f"{address:#x}")
        return data.split(b"\0")[0][:most].decode(errors="replace")

    def string(self, address, most=400):
        """A std::string."""
        size = self.u64(address + 8)
        return self.read(self.u64(address), min(size, most)).decode(errors="replace") if size else ""


class Layout:
    """Where members lie, by the debug information."""

    def __init__(self):
        self.offsets = {}
        self.types = {}

    def type(self, name):
        if name not in self.types:
            try:
                self.types[name] = gdb.lookup_type(name).strip_typedefs()
            except gdb.error:
                raise NoInformation(
                    f"there is no debug information about {name}: the program must be compiled with -g, and magpie "
                    "with -g or MAGPIE_DEBUGGER_TYPES (docs/debugging.md)") from None
        return self.types[name]

    def size(self, name):
        return self.type(name).sizeof

    def of(self, class_name, path):
        """Where a member, a base class, or a member of a member (`a.b`) lies in magpie::detail::class_name."""
        key = class_name, path
        if key not in self.offsets:
            kind, offset = self.type(NS + class_name), 0
            for member in path.split("."):
                found = self.search(kind, member)
                if found is None:
                    raise NoInformation(
                        f"{NS}{class_name} has no {path}: this script belongs to another version of magpie")
                offset, kind = offset + found[0], found[1].strip_typedefs()
            self.offsets[key] = offset
        return self.offsets[key]

    def search(self, kind, member):
        if kind.code == gdb.TYPE_CODE_PTR or kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return None
        for field in kind.fields():
            if not hasattr(field, "bitpos"):
                continue  # static
            if field.name == member or (field.is_base_class and field.name == NS + member):
                return field.bitpos // 8, field.type
            if field.is_base_class:
                inner = self.search(field.type.strip_typedefs(), member)
                if inner is not None:
                    return field.bitpos // 8 + inner[0], inner[1]
        return None


# ---------------------------------------------------------------------------------------------- names


def without_templates(name):
    """`f<int>(std::vector<int>)` as `f`; keeps what stands in braces, such as {lambda(int)#1}."""
    out, depth, i = [], 0, 0
    name = name.replace("(anonymous namespace)", "{anonymous}")
    while i < len(name):
        c = name[i]
        if name.startswith(("operator()", "operator<", "operator>", "operator->"), i):
            match = re.match(r"operator(\(\)|<=>|<<=?|>>=?|->\*?|[<>]=?)", name[i:])
            if depth == 0:
                out.append(match.group(0))
            i += match.end()
            continue
        if c in "<([":
            depth += 1
        elif c in ">)]":
            depth = max(0, depth - 1)
        elif depth == 0:
            out.append(c)
        i += 1
    text = "".join(out)
    text = re.sub(r"\s*\bconst\b\s*$", "", text).strip()
    text = text.replace("{anonymous}::", "").rsplit(" ", 1)[-1]  # a template's name begins with its result type
    return text.replace("{lambda#", "{lambda #")


class Symbols:
    """Names and lines of code addresses; kept, since there are few of them and many tasks."""

    def __init__(self, memory):
        self.memory = memory
        self.coroutines = {}
        self.demangled = {}

    @staticmethod
    def linkage_name(address):
        """The symbol at exactly this address, as the linker knows it."""
        try:
            said = gdb.execute(f"with print demangle off -- info symbol {address:#x}", to_string=True)
        except gdb.error:
            return None
        match = re.match(r"(\S+) in section ", said)
        return match.group(1) if match and " + " not in said.split(" in section")[0] else None

    @staticmethod
    def data_name(address):
        """The variable that begins at the address, or an empty string."""
        try:
            said = gdb.execute(f"info symbol {address:#x}", to_string=True)
        except gdb.error:
            return ""
        match = re.match(r"(.+) in section \.(?:bss|data|tbss|tdata)", said)
        return match.group(1) if match and " + " not in match.group(1) else ""

    def demangle(self, name):
        if name not in self.demangled:
            try:
                self.demangled[name] = gdb.execute(f"demangle -l c++ -- {name}", to_string=True).strip()
            except gdb.error:
                self.demangled[name] = name
            if self.demangled[name].startswith("Can't demangle"):
                self.demangled[name] = name
        return self.demangled[name]

    def coroutine(self, resume, destroy=0):
        if resume not in self.coroutines:
            self.coroutines[resume] = Coroutine(self, resume, destroy)
        return self.coroutines[resume]


class Coroutine:
    """A coroutine's function, found from the function that resumes it."""

    def __init__(self, symbols, resume, destroy):
        self.resume, self.destroy = resume, destroy
        self.symbols = symbols
        self.name, self.file, self.declared = f"<no symbol at {resume:#x}>", "", 0
        self.frame_type = None
        self.known = self.by_gcc = False
        self.suspensions = None  # index -> (file:line, whether that is certain)
        self.index_at, self.index_size = None, 1
        self.frame_size = UNKNOWN_FRAME_SIZE
        linkage = symbols.linkage_name(resume)
        if linkage is None:
            return
        self.known = True
        self.full_name = symbols.demangle(self.ramp_of(linkage))
        self.internal = bool(re.search(r"(^|[ *&])magpie::detail::", self.full_name.split("(")[0])) or \
            self.full_name.startswith("magpie::")
        self.name = without_templates(self.full_name)
        self.block = self.function_block()
        if self.block is not None:
            function = self.block.function
            self.file = os.path.basename(function.symtab.filename)
            self.declared = function.line or gdb.find_pc_line(resume).line
        self.linkage = linkage
        self.find_frame_type()

    @staticmethod
    def ramp_of(linkage):
        """The name of the function as it is called: clang's f.resume, g++'s f(f()::_Z1fv.Frame*) [clone .actor]."""
        if ".Frame" in linkage:
            for match in re.finditer(r"E(\d+)(?=_Z)", linkage):
                name = linkage[match.end():match.end() + int(match.group(1))]
                if name.endswith(".Frame"):
                    return name[:-len(".Frame")]
        return re.sub(r"\.(resume|actor|destroy|cleanup)(\..*)?$", "", linkage)

    def function_block(self):
        """The function as it was compiled, not one that was inlined at its beginning."""
        block = gdb.block_for_pc(self.resume)
        while block is not None and (block.function is None or block.superblock and not block.superblock.is_static
                                     and not block.superblock.is_global):
            block = block.superblock
        return block

    def end(self):
        """One past the function's last instruction; a part of it that is rarely run may lie elsewhere, before it."""
        return min(self.block.end, self.resume + (1 << 18)) if self.block.end > self.resume else self.resume + 1

    def find_frame_type(self):
        """Both compilers describe the frame by a variable of the function; clang with -O2 does not."""
        for symbol in self.block or ():
            if symbol.name in ("frame_ptr", "__coro_frame"):
                self.frame_type = symbol.type.strip_typedefs()
                if self.frame_type.code == gdb.TYPE_CODE_PTR:
                    self.frame_type = self.frame_type.target().strip_typedefs()
        if self.frame_type is not None and self.frame_type.sizeof > 32:
            self.frame_size = self.frame_type.sizeof
        else:
            self.frame_type = None
            self.size_from_code()

    def instructions(self, start, end):
        """(address, mnemonic, operands), in AT&T syntax."""
        architecture = gdb.selected_inferior().architecture()
        if "x86-64" not in architecture.name():
            return []
        before = gdb.parameter("disassembly-flavor")
        gdb.execute("set disassembly-flavor att", to_string=True)
        try:
            listed = architecture.disassemble(start, end - 1)
        except gdb.error:
            return []
        finally:
            gdb.execute(f"set disassembly-flavor {before}", to_string=True)
        return [(each["addr"], *(each["asm"].split(None, 1) + [""])[:2]) for each in listed]

    def size_from_code(self):
        """The frame is freed with its size, or its size class: `mov $0x88,%esi`, then the call."""
        for function in (self.destroy, self.resume):
            block = gdb.block_for_pc(function) if function else None
            while block is not None and block.function is None:
                block = block.superblock
            if block is None:
                continue
            size = None
            for _, mnemonic, operands in self.instructions(function, min(block.end, function + (1 << 16))):
                match = re.match(r"\$(0x[0-9a-f]+),%esi", operands)
                if match and mnemonic.startswith("mov"):
                    size = int(match.group(1), 16)
                elif size and mnemonic in ("call", "jmp") and "deallocate_frame_of" in operands:
                    self.frame_size = (size + 1) * FRAME_GRANULE
                    return
                elif size and mnemonic in ("call", "jmp") and re.search(
                        r"deallocate_frame|promise_base(dl|::operator delete)", operands):
                    self.frame_size = size
                    return

    # Both compilers store a number into the frame before they suspend; the store has the line of the co_await. Where
    # in the frame: by its type, or else it is the first that the function loads of those that get constants.
    REGISTERS = re.compile(r"%(?:[er]?(ax|bx|cx|dx|si|di|bp|sp)|([abcd])[lh]|(si|di|bp|sp)l|r(\d+)[dwb]?)$")
    SIZES = {"b": 1, "w": 2, "l": 4, "q": 8}

    @classmethod
    def register(cls, text):
        match = cls.REGISTERS.match(text)
        if not match:
            return None, 0
        name = match.group(1) or (match.group(2) + "x" if match.group(2) else match.group(3)) or match.group(4)
        if text.startswith("%r"):
            size = {"d": 4, "w": 2, "b": 1}.get(text[-1], 8) if match.group(4) else 8
        elif text.startswith("%e"):
            size = 4
        else:
            size = 1 if match.group(2) or match.group(3) else 2
        return name, size

    def find_suspensions(self):
        self.suspensions = {}
        if self.block is None:
            return
        stores, loads, constants = {}, [], {}
        listed = self.instructions(self.resume, self.end())
        for address, mnemonic, operands in listed:
            parts = operands.rsplit(",", 1)
            memory = re.match(r"(.*),(-?0x[0-9a-f]+|)\(%(?!rsp|rbp|rip)\w+\)$", operands)
            if memory and mnemonic.startswith("mov"):
                source, offset = memory.group(1), int(memory.group(2) or "0", 16)
                if source.startswith("$"):
                    size = self.SIZES.get(mnemonic[-1], 4)
                    stores.setdefault(offset, []).append((int(source[1:], 16), size, address))
                else:
                    name, size = self.register(source)
                    if name in constants:
                        stores.setdefault(offset, []).append((constants[name], size, address))
                continue
            load = re.search(r"(-?0x[0-9a-f]+)\(%(?!rsp|rbp|rip)\w+\)", operands)
            if load and re.match(r"(movz|cmp|test|mov)[bw]", mnemonic):
                loads.append((address, int(load.group(1), 16)))
            name, _ = self.register(parts[-1])
            constant = re.match(r"\$(0x[0-9a-f]+),%\w+$", operands)
            if constant and mnemonic.startswith("mov"):
                constants[name] = int(constant.group(1), 16)
            elif mnemonic == "xor" and len(parts) == 2 and parts[0] == parts[1]:
                constants[name] = 0
            elif mnemonic.startswith("call"):
                constants.clear()
            else:
                constants.pop(name, None)
        self.index_at = self.index_from_type()
        if self.index_at is None:
            self.index_at = next((each for _, each in loads if any(value for value, *_ in stores.get(each, []))), None)
        dispatch = next((gdb.find_pc_line(each).line for each, offset in loads if offset == self.index_at), 0)
        for value, size, address in stores.get(self.index_at, []):
            self.index_size = size
            line, own = self.line_of_store(address, [each[0] for each in listed], dispatch)
            if line and (value not in self.suspensions or own and not self.suspensions[value][1]):
                self.suspensions[value] = line, own

    def line_of_store(self, address, addresses, dispatch):
        """(file:line, whether that is certain). g++ -O2 moves the store, and has a line for what belongs to the
        coroutine as a whole, its last: then the nearest instruction that has a line in the function's own text."""
        if self.is_text(address, dispatch):
            return f"{self.file}:{gdb.find_pc_line(address).line}", True
        at = addresses.index(address)
        for each in addresses[max(0, at - 400):at][::-1] + addresses[at:at + 400]:
            if self.is_text(each, dispatch):
                return f"{self.file}:{gdb.find_pc_line(each).line}", False
        return "", False

    def is_text(self, address, dispatch):
        line = gdb.find_pc_line(address)
        if line.symtab is None or os.path.basename(line.symtab.filename) != self.file or not line.line:
            return False
        if self.by_gcc and self.declared != dispatch and line.line in (self.declared, dispatch):
            return False
        block = gdb.block_for_pc(address)
        while block is not None and block.function is None:
            block = block.superblock
        # Not text of another function that was inlined here.
        return block is None or self.last_part(block.function.name) == self.last_part(self.name)

    @staticmethod
    def last_part(name):
        return without_templates(name).rsplit("::", 1)[-1]

    def index_from_type(self):
        if self.frame_type is not None:
            for field in self.frame_type.fields():
                if field.name in ("_Coro_resume_index", "__coro_index"):
                    self.by_gcc = field.name.startswith("_Coro")
                    return field.bitpos // 8
        return None

    def where(self, memory, frame):
        """file:line of the co_await at which the frame is suspended, or of the function."""
        if self.suspensions is None:
            try:
                self.find_suspensions()
            except gdb.error:
                self.suspensions = {}
        if self.index_at is not None:
            try:
                index = int.from_bytes(memory.read(frame + self.index_at, self.index_size), "little")
                if index in self.suspensions:
                    line, certain = self.suspensions[index]
                    return line if certain else f"{line} (or near)"
            except Unreadable:
                return "<unreadable>"
        return f"{self.file}:{self.declared} (the function)" if self.file else ""

    MADE_UP = re.compile(r"_Coro_|__|_D|(class|struct|union)_|(Int|PointerType|UnknownType)_?\d*|[IF]s(_|$)|Aw\d|.*\.")

    def variables(self, frame):
        """Name and value of parameters and locals, as far as the compiler describes the frame."""
        if self.frame_type is None:
            return
        value = gdb.Value(frame).cast(self.frame_type.pointer())
        for field in self.frame_type.fields():
            name = field.name or ""
            if self.MADE_UP.match(name):
                continue
            try:
                yield (re.sub(r"_\d+_\d+$", "", name),
                       value.dereference()[field].format_string(max_elements=8, max_depth=1, symbols=False)[:100])
            except (gdb.error, gdb.MemoryError):
                yield name, "<unreadable>"


class RunTimeTypes:
    """Dynamic types, from the type_info that every vtable points at: no symbols needed."""

    def __init__(self, memory):
        self.memory = memory
        self.known = {}

    def of(self, object_address):
        """{mangled class name: where it begins in the object}, its own class first; empty if it is no object."""
        try:
            table = self.memory.u64(object_address)
        except Unreadable:
            return {}
        if table not in self.known:
            try:
                info = self.memory.u64(table - 8)
                bases = {}
                self.collect(info, 0, bases, 0)
                self.known[table] = bases
            except Unreadable:
                self.known[table] = {}
        return self.known[table]

    def collect(self, info, offset, bases, depth):
        memory = self.memory
        name = memory.text(memory.u64(info + 8)).lstrip("*")
        if not re.match(r"N\w|\d|[A-Z]\w", name) or depth > 30:
            raise Unreadable("no type_info")
        bases.setdefault(name, offset)
        kind = memory.text(memory.u64(memory.u64(memory.u64(info) - 8) + 8))  # the type_info's own type
        if kind.endswith("20__si_class_type_infoE"):
            self.collect(memory.u64(info + 16), offset, bases, depth + 1)
        elif kind.endswith("21__vmi_class_type_infoE"):
            for i in range(min(memory.u32(info + 20), 16)):
                base, flags = memory.u64(info + 24 + 16 * i), memory.i64(info + 32 + 16 * i)
                if not flags & 1:  # not virtual
                    self.collect(base, offset + (flags >> 8), bases, depth + 1)


def mangled(*names):
    """A class in magpie::detail, as type_info names it."""
    return "N6magpie6detail" + "".join(f"{len(each)}{each}" for each in names) + "E"


# ---------------------------------------------------------------------------------------------- runtimes and tasks


class Task:
    """A task as it was found. `context` is the address of its task_context, which is what others know it by."""

    def __init__(self, context):
        self.context = context
        self.record = 0          # of a spawned task
        self.id = 0
        self.name = self.site = ""
        self.born = None
        self.internal = False
        self.parent = 0
        self.root = 0            # its first frame
        self.word = 0
        self.started = True
        self.shielded = self.pinned = False
        self.worker = None       # that runs it
        self.state = "suspended"
        self.frames = []         # innermost first
        self.broken = ""         # why the frames do not reach the first one
        self.awaits = ""
        self.awaited = []        # contexts of the tasks it waits for
        self.waits_for_children = False
        self.waiter = 0
        self.children = []

    @property
    def cancel_requests(self):
        return (self.word >> 48) & 0x7fff

    @property
    def label(self):
        label = f"task {self.id}" if self.id else "child"
        return label + (f' "{self.name}"' if self.name else "")


class Worker:
    def __init__(self, address, index):
        self.address, self.index = address, index
        self.current = 0
        self.thread = None
        self.parked = self.spare = self.stuck = False
        self.queues = {}
        self.counters = {}


class Runtime:
    """One magpie::runtime: its scheduler, read once."""

    def __init__(self, program, serial, address):
        self.program, self.memory, self.layout = program, program.memory, program.layout
        self.serial, self.address = serial, address
        self.tasks = {}          # context -> Task
        self.ready = {}          # context -> frame that will be resumed
        self.joins = {}          # context -> fork_join that is still open
        self.problems = []
        of = self.layout.of
        self.context_in_record = of("spawned_base", "task_context")
        self.word_at, self.parent_at = of("task_context", "word_"), of("task_context", "parent")
        self.waiter_item = of("waiter", "work_item")
        self.item = {each: of("work_item", each) for each in ("next", "handle", "context")}
        self.name = self.attempt(lambda: self.memory.string(address + of("scheduler", "settings_.name")), "")
        self.simulated = self.attempt(lambda: self.memory.u8(address + of("scheduler", "simulated_")) != 0, False)
        self.workers = list(self.read_workers())
        for record in self.registered():
            task = self.attempt(lambda record=record: self.read_record(record), None)
            if task is not None:
                self.tasks[task.context] = task

    @staticmethod
    def attempt(what, otherwise):
        try:
            return what()
        except Unreadable:
            return otherwise

    # --- workers and queues

    def read_workers(self):
        memory, of, size = self.memory, self.layout.of, self.layout.type("magpie::detail::worker").sizeof
        vector = self.address + of("scheduler", "workers_")
        begin, end = memory.u64(vector), memory.u64(vector + 8)
        addresses = list(memory.words(begin, min(end - begin, 1 << 14)))
        spare = self.attempt(lambda: memory.u64(self.address + of("scheduler", "spare_")), 0)
        for index, address in enumerate(addresses + ([spare] if spare else [])):
            worker = Worker(address, index)
            worker.spare = index == len(addresses)
            try:
                memory.read(address, size)
                self.read_worker(worker)
            except Unreadable:
                self.problems.append(f"worker {index} is unreadable")
            yield worker
        self.attempt(lambda: self.note_queue(self.address + of("scheduler", "injected.items_")), 0)

    def read_worker(self, worker):
        memory, of = self.memory, self.layout.of
        at = lambda member: worker.address + of("worker", member)
        worker.current = memory.u64(at("current_"))
        beat = memory.u64(at("beat_"))
        worker.stuck = worker.current != 0 and memory.u64(at("stuck_since_")) == beat
        idle = self.address + of("scheduler", "idle")
        if not worker.spare:
            links = memory.u64(idle + self.layout.of("idle_set", "links_"))
            worker.parked = memory.u8(links + worker.index * self.layout.size(NS + "idle_set::link")
                                      + of("idle_set::link", "parked")) != 0
        head, tail = memory.u64(at("run_queue_.head_")), memory.u32(at("run_queue_.tail_"))
        real = head & 0xffffffff
        count = (tail - real) & 0xffffffff
        if count <= 256:
            slots = at("run_queue_.slots_")
            for i in range(count):
                self.note_item(memory.u64(slots + 8 * ((real + i) % 256)))
        top, bottom = memory.u64(at("forks_.top_")), memory.u64(at("forks_.bottom_"))
        mask, slots = memory.u64(at("forks_.mask_")), memory.u64(at("forks_.slots_"))
        for i in range(min(top - bottom, mask + 1) if top >= bottom else 0):
            self.note_item(memory.u64(slots + 8 * ((bottom + i) & mask)))
        worker.queues = {
            "ready": count + self.note_queue(at("ready_.waiting_")) + self.note_queue(at("ready_.round_")),
            "forks": top - bottom,
            "pinned": self.note_queue(at("pinned_")) + self.note_queue(at("pinned_inbox_.items_")),
            "timers": (memory.u64(at("timers_.entries_") + 8) - memory.u64(at("timers_.entries_"))) // 24,
        }
        for name in ("tasks_resumed", "steals_won", "parks"):
            worker.counters[name] = memory.u64(at("counters_." + name))
        join, steps = memory.u64(at("open_")), 0
        while join and steps < MOST_FRAMES:
            context = memory.u64(join + self.waiter_item + self.item["context"])
            self.joins.setdefault(context, join)
            join, steps = memory.u64(join + of("fork_join", "outer")), steps + 1

    def note_item(self, item):
        memory = self.memory
        try:
            self.ready[memory.u64(item + self.item["context"])] = memory.u64(item + self.item["handle"])
        except Unreadable:
            self.problems.append(f"an unreadable entry {item:#x} in a queue")

    def note_queue(self, queue):
        """An intrusive_queue of work_items; how many there are."""
        memory = self.memory
        item, seen = memory.u64(queue), 0
        expected = memory.u64(queue + 16)
        while item and seen < expected:
            self.note_item(item)
            seen += 1
            item = self.attempt(lambda item=item: memory.u64(item + self.item["next"]), 0)
        return seen

    # --- the registry

    def registered(self):
        memory, of = self.memory, self.layout.of
        shard_size = self.layout.size(NS + "scheduler::registry_shard")
        vector = self.address + of("scheduler", "registry_")
        begin, end = memory.u64(vector), memory.u64(vector + 8)
        for shard in range(begin, min(end, begin + 4096 * shard_size), shard_size):
            first, hook = shard + of("scheduler::registry_shard", "tasks"), of("spawned_base", "registered")
            try:
                expected, seen = memory.u64(shard + of("scheduler::registry_shard", "count")), 0
                node = memory.u64(first)
                while node and node != first and seen <= expected + 1:
                    yield node
                    seen += 1
                    node = memory.u64(node + hook + 8)
                if abs(seen - expected) > 1:
                    self.problems.append(f"a list of {expected} tasks has {seen}: it was being changed, or is damaged")
            except Unreadable:
                self.problems.append(f"a list of tasks is unreadable after {seen} of {expected}")

    def read_record(self, record):
        memory, of = self.memory, self.layout.of
        if memory.u8(record + of("spawned_base", "ended_")):
            return None
        task = self.read_context(record + self.context_in_record)
        task.record = record
        task.id = memory.u64(record + of("spawned_base", "id"))
        task.internal = memory.u8(record + of("spawned_base", "internal")) != 0
        task.born = memory.i64(record + of("spawned_base", "born"))
        name = memory.u64(record + of("spawned_base", "name"))
        task.name = self.attempt(lambda: memory.string(name) if name else "", "<unreadable>")
        task.site = self.program.site(self.attempt(lambda: memory.u64(record + of("spawned_base", "where")), 0))
        return task

    def read_context(self, context):
        memory, of = self.memory, self.layout.of
        task = Task(context)
        task.word = memory.u64(context + self.word_at)
        task.parent = memory.u64(context + self.parent_at)
        task.root = memory.u64(context + self.item["handle"])
        task.started = memory.u8(context + of("task_context", "started_")) != 0
        task.shielded = memory.u16(context + of("task_context", "shield_depth")) != 0
        task.pinned = memory.u8(context + of("task_context", "pinned")) != 0
        if not memory.u8(context + of("task_context", "is_spawned")):
            extras = memory.u64(context + of("task_context", "extras"))
            task.id = memory.u64(extras + of("task_extras", "id")) if extras else 0
        return task

    # --- where a task is

    def look(self, task):
        """Its state, its frames, what it awaits. What is unreadable stays out."""
        running = next((each for each in self.workers if each.current == task.context), None)
        waiter = task.word & WAITER_MASK or self.joins.get(task.context, 0)
        try:
            if waiter:
                self.suspended_at(task, waiter)
            elif running is not None:
                task.state, task.worker = "running", running
                task.frames = self.frames_from_root(task)
            elif task.context in self.ready:
                task.state = "ready" if task.started else "ready, has not begun"
                self.chain(task, self.ready[task.context])
            elif not task.started:
                task.state = "ready, has not begun"
                self.chain(task, task.root)
            else:
                task.frames = self.frames_from_root(task)
                self.guess_wait(task)
        except Unreadable:
            task.broken = "<unreadable>"
        return task

    def suspended_at(self, task, waiter):
        task.waiter = waiter
        self.chain(task, self.memory.u64(waiter + self.waiter_item + self.item["handle"]))
        self.program.waits.describe(self, task, waiter)

    def chain(self, task, frame):
        """The frames from the innermost one outwards."""
        memory = self.memory
        seen = 0
        while frame and seen < MOST_FRAMES:
            if frame % 8 or not memory.read_some(frame, 32):
                task.broken = "<unreadable>"
                return
            task.frames.append(frame)
            if frame == task.root:
                return
            seen += 1
            frame = memory.u64(frame + 16)
        task.broken = "the frames do not lead to the task's first one"

    def frames_from_root(self, task):
        """From the task's first frame inwards: each awaited frame is named somewhere in the one that awaits it."""
        memory, frames = self.memory, [task.root]
        while len(frames) < 10_000:
            frame = frames[-1]
            for word in memory.words(frame + 32, self.program.frame_size(frame) - 32):
                if word % 16 == 0 and word > 4096 and word not in frames[-8:]:
                    inner = memory.words(word, 32)
                    if len(inner) == 4 and inner[2:] == (frame, task.context) and self.program.is_frame(inner[0]):
                        frames.append(word)
                        break
            else:
                break
        return frames[::-1]

    def guess_wait(self, task):
        """A shielded wait is not published; the waiter lies in the innermost frame, perhaps beside one that is over."""
        memory, found = self.memory, []
        frame = task.frames[0]
        for at in range(frame, frame + self.program.frame_size(frame), 16):
            words = memory.words(at, 32)
            if len(words) == 4 and words[2] == frame and words[3] == task.context:
                types = self.program.types.of(at)
                if mangled("waiter") in types and (not task.shielded or mangled("fork_join") in types):
                    found.append(at)
        if len(found) == 1:
            task.waiter = found[0]
            self.program.waits.describe(self, task, found[0])
        else:
            task.awaits = "something, or is just being resumed"
            if task.shielded:
                task.awaits = "something that cannot be cancelled"
            task.waits_for_children = bool(found)

    # --- children

    def find_children(self, task):
        """Records of children that are in no registry: in their parent's frames, or in memory these point at."""
        found, windows = {}, []
        for frame in task.frames:
            size = self.program.frame_size(frame)
            self.records_in(task, frame, size, found)
            windows += self.pointers_in(frame, size)
        if task.waiter:
            windows += self.pointers_in(task.waiter, 256)
            self.records_in(task, task.waiter, 256, found)
        seen, parts = set(), set()
        while windows:
            at = windows.pop()
            begin = (at - 64) & ~(WINDOW // 2 - 1)
            if not self.memory.page(begin // Memory.PAGE):
                begin = at & ~(WINDOW // 2 - 1)
            if begin not in seen:
                seen.add(begin)
                if self.records_in(task, begin, WINDOW, found):  # they may lie one behind the other, or be linked
                    windows += self.pointers_in(begin, WINDOW) + [begin + WINDOW + 64]
            if at not in parts and mangled("fork_parts", "part") in self.program.types.of(at):
                parts.add(at)  # of a long gather: it leads to its records, and to the next part
                windows += self.pointers_in(at, 256)
        return [found[each] for each in sorted(found)]

    def pointers_in(self, address, size):
        return [each for each in self.memory.words(address, size) if each > 1 << 16 and each < 1 << 47 and each % 8 == 0
                and self.memory.page(each // Memory.PAGE)]

    def records_in(self, task, address, size, found):
        """A record's context is its own address, and its parent the task. How many there are, known ones too."""
        words = self.memory.words(address, size + 128)
        own, parent, count = self.item["context"] // 8, self.parent_at // 8, 0
        for i in range(len(words) - parent):
            at = address + 8 * i
            if words[i + own] == at and words[i + parent] == task.context and at not in self.tasks:
                count += 1
                child = None if at in found else self.attempt(lambda at=at: self.read_context(at), None)
                if child is not None and child.root and not child.word >> 63 and self.program.is_frame_at(child.root):
                    found[at] = child
        return count


class Waits:
    """What a waiter waits for, in words."""

    def __init__(self, program):
        self.program, self.memory, self.layout = program, program.memory, program.layout
        self.opcodes = None
        self.table = [  # the first that is a class of the waiter's
            (mangled("sleep_awaiter"), self.sleep),
            (mangled("op_base"), self.operation),
            (mangled("join_waiter"), self.join),
            (mangled("wait_core"), self.several),
            (mangled("semaphore_awaiter"), self.semaphore),
            (mangled("queue_waiter"), self.queue),
            (mangled("group_core", "join_awaiter"), self.group),
            (mangled("completion_waiter"), self.listed_with_children),
            (mangled("listed_waiter"), self.listed),
            (mangled("future_waiter"), lambda *_: "future"),
            (mangled("fork_join"), self.fork_join),
            (mangled("child_set", "some_ended_awaiter"), self.children),
            (mangled("completion_core", "join_awaiter"), self.children),
            (mangled("completion_core", "room_awaiter"), lambda *_: "room for one more task"),
            (mangled("batch_core", "event_awaiter"), self.batch),
            (mangled("thread_waiter"), lambda *_: "a blocking call"),
            (mangled("abandoning_waiter"), lambda *_: "a blocking call"),
        ]

    def describe(self, runtime, task, waiter):
        types = self.program.types.of(waiter)
        task.awaits = "<unreadable>" if not types else ""
        for name, what in self.table:
            if name in types:
                try:
                    task.awaits = what(runtime, task, waiter + types[name], types)
                except (Unreadable, gdb.error):
                    task.awaits = "<unreadable>"
                except NoInformation:
                    break
                return
        if types:
            own = next(iter(types))
            name = without_templates(self.program.symbols.demangle("_Z" + own)).replace(NS, "")
            task.awaits = re.sub(r"_(awaiter|waiter|core)\b|magpie::(io::)?", "", name)

    def of(self, class_name, member):
        return self.layout.of(class_name, member)

    def named(self, address):
        name = self.program.symbols.data_name(address)
        return f" {name}" if name else ""

    def sleep(self, runtime, task, at, types):
        timer = at + types[mangled("timer")] - types[mangled("sleep_awaiter")]
        deadline = self.memory.i64(timer + self.of("timer", "deadline"))
        now = self.program.now(runtime)
        return "sleep" if now is None else f"sleep, {duration(deadline - now)} left" if deadline > now else "sleep, due"

    def operation(self, runtime, task, at, types):
        memory = self.memory
        request = at + self.of("op_base", "request_")
        code = memory.u8(request + self.of("op_base", "request_.code") - self.of("op_base", "request_"))
        if self.opcodes is None:
            try:
                codes = self.layout.type("magpie::io::opcode").fields()
                self.opcodes = {each.enumval: each.name.rsplit("::", 1)[-1] for each in codes}
            except NoInformation:
                self.opcodes = {}
        text = f"io {self.opcodes.get(code, code)}"
        descriptor = memory.i32(at + self.of("op_base", "request_.fd"))
        if descriptor >= 0:
            text += f" on descriptor {descriptor}"
        place = memory.u8(at + self.of("op_base", "place_"))
        return text + {1: ", waits for room in the event loop", 2: ", waits for a buffer"}.get(place, "")

    def join(self, runtime, task, at, types):
        record = self.memory.u64(at + self.of("join_waiter", "task_"))
        context = record + runtime.context_in_record
        task.awaited.append(context)
        found = self.program.task_at(context)
        return found.label if found else f"task {self.memory.u64(record + self.of('spawned_base', 'id'))}"

    def several(self, runtime, task, at, types):
        memory, watcher = self.memory, "wait_core::task_watcher"
        first = memory.u64(at + self.of("wait_core", "watchers_.objects_"))
        count = memory.u64(at + self.of("wait_core", "watchers_.size_"))
        labels = []
        for i in range(min(count, 8)):
            record = memory.u64(first + i * self.layout.size(NS + watcher) + self.of(watcher, "task_"))
            task.awaited.append(record + runtime.context_in_record)
            labels.append(str(memory.u64(record + self.of("spawned_base", "id"))))
        return f"{count} tasks: {', '.join(labels)}{', …' if count > 8 else ''}"

    def semaphore(self, runtime, task, at, types):
        core = self.memory.u64(at + self.of("semaphore_awaiter", "core_"))
        word = self.memory.u64(core + self.of("semaphore_core", "word_"))
        available = (word >> 2) & 0x7fffffff
        available -= (available & 0x40000000) << 1
        return f"semaphore{self.named(core)}, {available} of {word >> 33} available"

    def queue(self, runtime, task, at, types):
        core = self.memory.u64(at + self.of("queue_waiter", "at_"))
        count = self.memory.u64(core + self.of("queue_core", "count_"))
        capacity = self.memory.u64(core + self.of("queue_core", "capacity_"))
        verb = next((each for each in ("put", "get") if mangled(f"queue_{each}_waiter") in types), "join")
        return f"queue {verb}, {count} items of {capacity or 'any number'}"

    def group(self, runtime, task, at, types):
        core = self.memory.u64(at + self.of("group_core::join_awaiter", "group_"))
        live = self.memory.u64(core + self.of("group_core", "live_"))
        return f"the tasks of its group, {live} left"

    def listed(self, runtime, task, at, types):
        return self.memory.text(self.memory.u64(at + self.of("listed_waiter", "what_")))

    def listed_with_children(self, runtime, task, at, types):
        task.waits_for_children = True
        begin = at - types[mangled("completion_waiter")]
        return self.listed(runtime, task, begin + types[mangled("listed_waiter")], types)

    def fork_join(self, runtime, task, at, types):
        task.waits_for_children = True
        match = re.search(r"(gather|select|shielded)", next(iter(types)))
        kind = match.group(1) if match else "children"
        total = self.memory.u32(at + self.of("fork_join", "total_"))
        return "what it shields" if kind == "shielded" else f"{kind} of {total}"

    def children(self, runtime, task, at, types):
        task.waits_for_children = True
        return "its children"

    def batch(self, runtime, task, at, types):
        task.waits_for_children = True
        return "a batch's items"


# ---------------------------------------------------------------------------------------------- the whole program


def duration(nanoseconds):
    seconds = max(0, nanoseconds) / 1e9
    if seconds < 10:
        return f"{seconds:.3f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


class Program:
    """Everything that one command needs; nothing is kept for the next one but types and names."""

    layout = None
    kept_for = None

    def __init__(self):
        if not gdb.selected_inferior().threads():
            raise NoInformation("no process and no core file: `attach PID`, `run`, or `gdb PROGRAM CORE`")
        self.memory = Memory()
        if Program.layout is None or Program.kept_for != self.identity():
            Program.layout, Program.symbols, Program.kept_for = Layout(), Symbols(self.memory), self.identity()
        self.symbols.memory = self.memory
        self.types = RunTimeTypes(self.memory)
        self.waits = Waits(self)
        self.sites = {}
        self.live = self.is_live()
        self.runtimes = []
        for serial, address in self.schedulers():
            try:
                self.runtimes.append(Runtime(self, serial, address))
            except Unreadable:
                gdb.write(f"runtime {serial} at {address:#x}: <unreadable>\n")

    @staticmethod
    def identity():
        inferior = gdb.selected_inferior()
        return inferior.num, inferior.pid, tuple((each.filename, each.is_valid()) for each in gdb.objfiles())

    @staticmethod
    def is_live():
        connection = getattr(gdb.selected_inferior(), "connection", None)
        return connection is not None and connection.type == "native"

    def schedulers(self):
        """The map from serial numbers to schedulers: a red-black tree of the C++ library's."""
        memory = self.memory
        try:
            variable = gdb.parse_and_eval("&_ZZN6magpie6detail15live_schedulers3allEvE3one")
        except gdb.error:
            raise NoInformation("no runtime of magpie in this program: it is not linked with magpie, or has no "
                                "symbols (was it stripped?)") from None
        try:
            tree = int(variable)
            if variable.type.target().strip_typedefs().code != gdb.TYPE_CODE_STRUCT:
                tree = memory.u64(tree)  # no debug information about it: a reference is an address in memory
            if not tree:
                return []
            found, stack = [], [memory.u64(tree + 16)]
            while stack and len(found) < 4096:
                node = stack.pop()
                if node:
                    found.append((memory.u64(node + 32), memory.u64(node + 40)))
                    stack += [memory.u64(node + 16), memory.u64(node + 24)]
            return sorted(found)
        except (Unreadable, gdb.error):
            raise NoInformation("the list of runtimes is unreadable") from None

    def site(self, location):
        """file:line of a std::source_location."""
        if not location:
            return ""
        if location not in self.sites:
            try:
                name = self.memory.text(self.memory.u64(location))
                self.sites[location] = f"{os.path.basename(name)}:{self.memory.u32(location + 16)}"
            except Unreadable:
                self.sites[location] = "<unreadable>"
        return self.sites[location]

    def now(self, runtime):
        if runtime.simulated:
            at = runtime.address + self.layout.of("scheduler", "simulated_now_")
            return runtime.attempt(lambda: self.memory.i64(at), None)
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) if self.live else None

    def task_at(self, context):
        return next((each.tasks[context] for each in self.runtimes if context in each.tasks), None)

    def coroutine_of(self, frame):
        """Null for a frame that has nothing to resume: it has just ended."""
        resume, destroy = self.memory.u64(frame), self.memory.u64(frame + 8)
        return self.symbols.coroutine(resume, destroy) if resume else None

    def is_frame(self, resume):
        return resume > 4096 and self.symbols.coroutine(resume).known

    def is_frame_at(self, frame):
        try:
            return self.is_frame(self.memory.u64(frame))
        except Unreadable:
            return False

    def frame_size(self, frame):
        try:
            coroutine = self.coroutine_of(frame)
            return coroutine.frame_size if coroutine else UNKNOWN_FRAME_SIZE
        except Unreadable:
            return UNKNOWN_FRAME_SIZE

    def frame_line(self, task, frame):
        """(name, where, whether it is magpie's own)"""
        try:
            coroutine = self.coroutine_of(frame)
            if coroutine is None:
                return "<ended>", "", False
            where = ""
            if task.worker is not None and frame == task.frames[0]:
                where = self.running_line(task.worker, coroutine)
            return coroutine.name, where or coroutine.where(self.memory, frame), coroutine.known and coroutine.internal
        except Unreadable:
            return "<unreadable>", "", False

    # --- threads

    def find_threads(self, runtime):
        """Which thread each worker is: by its pthread_t."""
        handles = {}
        for thread in gdb.selected_inferior().threads():
            try:
                handles[int.from_bytes(thread.handle(), "little")] = thread
            except (gdb.error, RuntimeError):
                continue
        of, memory = self.layout.of, self.memory
        try:
            begin = memory.u64(runtime.address + of("scheduler", "threads_"))
            end = memory.u64(runtime.address + of("scheduler", "threads_") + 8)
            for worker, handle in zip(runtime.workers, memory.words(begin, min(end - begin, 1 << 14))):
                worker.thread = handles.get(handle)
            if runtime.workers and runtime.workers[-1].spare:
                runtime.workers[-1].thread = handles.get(memory.u64(runtime.address + of("scheduler", "spare_thread_")))
        except Unreadable:
            pass

    def running_line(self, worker, coroutine):
        """Where the coroutine is on its worker's stack; a worker without a thread of its own is on somebody's."""
        if not coroutine.known:
            return ""
        thread, frame = gdb.selected_thread(), gdb.selected_frame()
        try:
            for each in [worker.thread] if worker.thread else gdb.selected_inferior().threads()[:64]:
                each.switch()
                found = self.line_on_stack(coroutine)
                if found:
                    return found
        except gdb.error:
            pass
        finally:
            thread.switch()
            frame.select()
        return ""

    @staticmethod
    def line_on_stack(coroutine):
        each, depth, found = gdb.newest_frame(), 0, ""
        while each is not None and depth < 200:
            said = gdb.execute(f"with print demangle off -- info symbol {each.pc():#x}", to_string=True)
            if said.split(" ", 1)[0].removesuffix(".cold") == coroutine.linkage:
                line = each.find_sal()  # the outermost of those that were inlined into each other
                if line.symtab is not None and os.path.basename(line.symtab.filename) == coroutine.file \
                        and (line.line != coroutine.declared or not found):
                    found = f"{coroutine.file}:{line.line} (runs)"
            elif found:
                break
            each, depth = each.older(), depth + 1
        return found

    # --- trees

    def complete(self, runtime, task, with_children=True):
        """Looks at a task, and at children that are in no registry, and at theirs."""
        pending = [task]
        while pending:
            each = pending.pop()
            runtime.look(each)
            if with_children and each.waits_for_children:
                for child in runtime.find_children(each):
                    if child.context not in runtime.tasks:
                        runtime.tasks[child.context] = child
                        pending.append(child)
        return task

    def hang_up(self, runtime):
        """Children below their parents; a task that one other awaits below that one. Gives the roots."""
        tasks, below = runtime.tasks, {}
        for each in tasks.values():
            if each.parent in tasks:
                below[each.context] = each.parent
        for each in tasks.values():
            for awaited in each.awaited:
                if awaited in tasks and awaited not in below and not self.leads_to(below, each.context, awaited):
                    below[awaited] = each.context
        for each in tasks.values():
            if each.context in below:
                tasks[below[each.context]].children.append(each)
        return [each for each in tasks.values() if each.context not in below]

    @staticmethod
    def leads_to(below, start, end):
        steps = 0
        while start is not None and start != end and steps < MOST_FRAMES:
            start, steps = below.get(start), steps + 1
        return start is not None


# ---------------------------------------------------------------------------------------------- showing


class Printer:
    def __init__(self, program, everything=False):
        self.program, self.everything = program, everything

    def chain(self, task):
        """(name, where) of the frames to be shown, from the task's first one inwards."""
        frames = task.frames[::-1]
        skipped = len(frames) - SHOWN_FRAMES
        if skipped > 0:
            frames = frames[:SHOWN_FRAMES // 2] + [None] + frames[-SHOWN_FRAMES // 2:]
        lines = []
        for frame in frames:
            if frame is None:
                lines.append((f"... {skipped} more frames ...", ""))
                continue
            name, where, internal = self.program.frame_line(task, frame)
            if not internal or self.everything or len(task.frames) == 1:
                lines.append((name, where))
        return lines

    def state(self, task, now):
        text = "waits for " + task.awaits if task.state == "suspended" and task.awaits else task.state
        if task.worker is not None:
            text += f" on worker {task.worker.index}"
            if task.worker.thread is not None:
                text += f" (thread {task.worker.thread.num})"
            if task.worker.stuck:
                text += ", stuck"
        parts = [text]
        if task.cancel_requests:
            parts.append("cancel requested" + (", not delivered" if task.word & 1 else ""))
        if task.site:
            parts.append("spawned at " + task.site + (f", {duration(now - task.born)} ago" if now is not None else ""))
        return DOT.join(parts)

    def signature(self, task):
        """What tasks have in common that are in the same place."""
        waits = re.sub(r"\d+( h| min| s)?\b", "#", re.sub(r"(, .* left| \".*\"|, due)$", "", task.awaits))
        frames = tuple(" ".join(each).rstrip() for each in self.chain(task))
        return (f"waits for {waits}" if waits and task.state == "suspended" else task.state), frames, task.site

    def frames(self, task, indent):
        lines = self.chain(task)
        width = min(max([len(name) for name, _ in lines] or [0]), 50)
        for name, where in lines:
            gdb.write(f"{indent}{name:<{width}}  {where}".rstrip() + "\n")
        if task.broken:
            gdb.write(f"{indent}{task.broken}\n")

    def tree(self, runtime, roots, limit):
        now = self.program.now(runtime)
        stack = [(each, "", i == len(roots) - 1) for i, each in enumerate(roots)][::-1]
        shown = 0
        while stack and (not limit or shown < limit):
            task, indent, last = stack.pop()
            shown += 1
            gdb.write(f"{indent}{LAST if last else BRANCH}{task.label}{DOT}{self.state(task, now)}\n")
            below = indent + ("   " if last else BAR)
            self.frames(task, below + (BAR if task.children else "   "))
            children = sorted(task.children, key=lambda each: (each.id or 1 << 62, each.context))
            stack += [(each, below, i == len(children) - 1) for i, each in enumerate(children)][::-1]
        if stack:
            left = sum(1 + self.count(each) for each, _, _ in stack)
            gdb.write(f"... {left} more; `--limit 0` shows all, `--group` counts them\n")

    @staticmethod
    def count(task):
        total, stack = 0, list(task.children)
        while stack:
            each = stack.pop()
            total += 1
            stack += each.children
        return total

    def groups(self, tasks):
        counted = {}
        for task in tasks:
            counted.setdefault(self.signature(task), []).append(task)
        for (state, frames, site), members in sorted(counted.items(), key=lambda each: -len(each[1])):
            some = [f"{each.id}" for each in members[:3] if each.id]
            which = f" ({', '.join(some)}{', ...' if len(members) > 3 else ''})" if some else ""
            what, where = "tasks" if len(members) > 1 else "task", f"{DOT}spawned at {site}" if site else ""
            gdb.write(f"{len(members)} {what}{which}{DOT}{state}{where}\n")
            for each in frames:
                gdb.write(f"     {each}\n")

    def detail(self, runtime, task):
        now = self.program.now(runtime)
        gdb.write(f"{task.label} of runtime {runtime.serial}\n")
        gdb.write(f"  state      {self.state(task, now)}\n")
        known = ("pinned", task.pinned), ("shielded", task.shielded), ("the runtime's own", task.internal)
        flags = [name for name, on in known if on]
        if flags:
            gdb.write(f"  flags      {', '.join(flags)}\n")
        gdb.write(f"  context    (magpie::detail::task_context*) {task.context:#x}\n")
        if task.waiter:
            gdb.write(f"  waiter     (magpie::detail::waiter*) {task.waiter:#x}\n")
        if task.parent:
            parent = self.program.task_at(task.parent)
            gdb.write(f"  parent     {parent.label if parent else 'a child'} ({task.parent:#x})\n")
        gdb.write("  frames, the task's first one first\n")
        for number, frame in enumerate(task.frames[::-1][:MOST_FRAMES]):
            name, where, _ = self.program.frame_line(task, frame)
            gdb.write(f"  #{number:<3} {frame:#x} in {name}  {where}".rstrip() + "\n")
            try:
                coroutine = self.program.coroutine_of(frame)
                for variable, value in coroutine.variables(frame) if coroutine else ():
                    gdb.write(f"         {variable} = {value}\n")
            except Unreadable:
                gdb.write("         <unreadable>\n")
        if task.broken:
            gdb.write(f"  {task.broken}\n")
        for child in task.children:
            gdb.write(f"  below it   {child.label} ({child.context:#x}){DOT}{self.state(child, now)}\n")


# ---------------------------------------------------------------------------------------------- commands


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        raise gdb.GdbError(f"{message}\n{self.format_usage()}".rstrip())

    def exit(self, status=0, message=None):
        raise gdb.GdbError(message or "")


class Command(gdb.Command):
    """Runs with C++ names understood, whatever the selected frame is written in."""

    def invoke(self, text, from_tty):
        language = gdb.parameter("language")
        gdb.execute("set language c++", to_string=True)
        try:
            self.run(shlex.split(text))
        finally:
            gdb.execute(f"set language {language}", to_string=True)


class MagpiePrefix(gdb.Command):
    """The tasks of a program that uses magpie: `magpie tasks`, `magpie task ID`, `magpie workers`."""

    def __init__(self):
        super().__init__("magpie", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


class Tasks(Command):
    """Every task and what it waits for, as a tree.

magpie tasks [--group] [--all] [--limit N] [--runtime N] [PATTERN]

PATTERN is a regular expression: only tasks whose name, spawn site, functions or wait match it, without a tree.
--group    one entry for all tasks that are suspended in the same place, with their number
--all      with the runtime's own tasks, and magpie's own frames
--limit N  at most so many tasks (200 unless given; 0: all)"""

    def __init__(self):
        super().__init__("magpie tasks", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def run(self, words):
        parser = Arguments(prog="magpie tasks", add_help=False)
        parser.add_argument("--group", action="store_true")
        parser.add_argument("--all", action="store_true")
        parser.add_argument("--limit", type=int, default=SHOWN_TASKS)
        parser.add_argument("--runtime", type=int)
        parser.add_argument("pattern", nargs="?")
        options = parser.parse_args(words)
        try:
            pattern = re.compile(options.pattern) if options.pattern else None
        except re.error as problem:
            raise gdb.GdbError(f"{options.pattern!r} is no regular expression: {problem}")
        program = Program()
        printer = Printer(program, options.all)
        if not program.runtimes:
            gdb.write("no runtime of magpie is alive\n")
        for runtime in program.runtimes:
            if options.runtime in (None, runtime.serial):
                self.show(program, printer, runtime, pattern, options)

    @staticmethod
    def show(program, printer, runtime, pattern, options):
        program.find_threads(runtime)
        if not options.all:
            runtime.tasks = {each: task for each, task in runtime.tasks.items() if not task.internal}
        spawned = sorted(runtime.tasks.values(), key=lambda each: each.id)
        for each in spawned:
            program.complete(runtime, each)
        states = {}
        for each in runtime.tasks.values():
            state = each.state.split(",")[0]
            states[state] = states.get(state, 0) + 1
        counts = ", ".join(f"{states[each]} {each}" for each in ("running", "ready", "suspended") if each in states)
        gdb.write(f'runtime {runtime.serial} "{runtime.name}": {len(runtime.workers)} workers, '
                  f"{len(runtime.tasks)} tasks{': ' + counts if counts else ''}\n")
        for each in runtime.problems[:10]:
            gdb.write(f"  ! {each}\n")
        chosen = list(runtime.tasks.values())
        if pattern is not None:
            chosen = [each for each in chosen if pattern.search("\n".join(
                [each.label, each.site, each.state, each.awaits, *(" ".join(line) for line in printer.chain(each))]))]
        if options.group:
            printer.groups(chosen)
        elif pattern is not None:
            printer.tree(runtime, chosen, options.limit)
        else:
            printer.tree(runtime, program.hang_up(runtime), options.limit)


class OneTask(Command):
    """One task in full: its frames with their addresses and variables.

magpie task ID | "NAME" | ADDRESS

A child of a combinator often has no id: take its context's address, as `magpie task` shows it for its parent."""

    def __init__(self):
        super().__init__("magpie task", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def run(self, words):
        if len(words) != 1:
            raise gdb.GdbError('usage: magpie task ID | "NAME" | ADDRESS')
        program, found = Program(), False
        for runtime in program.runtimes:
            program.find_threads(runtime)
            many = len(runtime.tasks) > 5000  # then only the task itself is looked at
            for each in list(runtime.tasks.values()):
                if not many or self.is_meant(each, words[0]):
                    program.complete(runtime, each)
            program.hang_up(runtime)
            for each in list(runtime.tasks.values()):
                if self.is_meant(each, words[0]):
                    Printer(program, True).detail(runtime, each)
                    found = True
        if not found:
            raise gdb.GdbError(f"no task {words[0]} is alive")

    @staticmethod
    def is_meant(task, word):
        if word.startswith("0x"):
            return word == f"{task.context:#x}"
        return word == str(task.id) or word == task.name != ""


class Workers(Command):
    """The workers of each runtime: their threads, what they run, what is queued there."""

    def __init__(self):
        super().__init__("magpie workers", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def run(self, words):
        if words:
            raise gdb.GdbError("usage: magpie workers")
        program = Program()
        if not program.runtimes:
            gdb.write("no runtime of magpie is alive\n")
        for runtime in program.runtimes:
            program.find_threads(runtime)
            gdb.write(f'runtime {runtime.serial} "{runtime.name}"{", simulated clock" if runtime.simulated else ""}: '
                      f"{len(runtime.tasks)} spawned tasks\n")
            for worker in runtime.workers:
                task = runtime.tasks.get(worker.current)
                doing = "asleep" if worker.parked else "looks for work"
                if worker.current:
                    doing = f"runs {task.label if task else 'a child'}"
                thread = "no thread of its own"
                if worker.thread:
                    thread = f"thread {worker.thread.num} (LWP {worker.thread.ptid[1]})"
                counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in worker.counters.items())
                queues = ", ".join(f"{count} {name}" for name, count in worker.queues.items() if count)
                gdb.write(f"  {'spare worker' if worker.spare else f'worker {worker.index}'}, {thread}: {doing}"
                          f"{', stuck' if worker.stuck else ''}{DOT}{queues or 'nothing queued'}{DOT}"
                          f"{counts}\n")
            for each in runtime.problems[:10]:
                gdb.write(f"  ! {each}\n")


MagpiePrefix()
Tasks()
OneTask()
Workers()
