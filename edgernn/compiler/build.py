"""The kernel library as one relocatable object.

Numba types and lowers each kernel to unoptimised LLVM IR without running the host's code generator (which may not know
the instructions). The modules are linked, retargeted, optimised for the wanted processor and emitted. Needs
NUMBA_OPT=0 and EDGERNN_COMPILE_ISA set before numba is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core import compiler
from numba.core.compiler import Flags
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from edgernn.compiler.scalars import scalar_floats
from edgernn.kernels import entries
from edgernn.kernels.contract import Opcode
from edgernn.kernels.cpu import hear, pool  # noqa: F401  (registers every function)
from edgernn.kernels.cpu.functions import FUNCTIONS, KERNELS, symbol
from edgernn.kernels.cpu.isa import ISA

EXTERNAL = ("run", "prepare")
WHOLE = ("pool", "features", "scores", "hear")  # of a library for all programs only
INSTRUCTIONS = {code.name.lower() for code in Opcode if code > Opcode.STOP}


def lower(name: str) -> str:
    """One function's LLVM IR, with a plain C function around Numba's `int32 f(result, exception, arguments)`."""
    function, result, args = FUNCTIONS[name]
    context = cpu_target.target_context.with_aot_codegen("edgernn", cpu_name="")
    flags = Flags()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    library = context.codegen().create_library(name)
    made = compiler.compile_extra(
        cpu_target.typing_context, context, function, args, result, flags, {}, library=library
    )
    library.finalize()
    types = [str(context.get_value_type(a)) for a in args]
    declared = ", ".join(f"{t} %a{i}" for i, t in enumerate(types))
    kind = context.get_value_type(result)
    return f"""{library._final_module}
define {kind} @{symbol(name)}({declared}) {"noinline" if name in KERNELS else "alwaysinline"} {{
  %result = alloca {kind}
  %exception = alloca ptr
  %status = call i32 @{made.fndesc.llvm_func_name}(ptr %result, ptr %exception, {declared})
  %value = load {kind}, ptr %result
  ret {kind} %value
}}"""


@dataclass(frozen=True)
class Machine:
    """What LLVM generates code for: by default this system, and the least processor of the instruction set."""

    triple: str = llvm.get_default_triple()
    cpu: str = ISA.cpu
    features: str = ISA.features
    tune: str = ""

    def generator(self) -> Any:
        """LLVM's code generator."""
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        abi = "lp64d" if self.triple.startswith("riscv64") else ""
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=self.features, opt=3, reloc="pic", codemodel="default", abiname=abi
        )


def retargeted(text: str, machine: Any, tune: str = "") -> Any:
    """The module for another target; tune: for the speed of this processor, without instructions of its own."""
    if tune:
        text = re.sub(r"^(define .*) \{$", r"\1 #9999 {", text, flags=re.MULTILINE)
        text += f'\nattributes #9999 = {{ "tune-cpu"="{tune}" }}\n'
    text = re.sub(r"target triple = .*", f'target triple = "{machine.triple}"', text)
    text = re.sub(r"target datalayout = .*", f'target datalayout = "{machine.target_data}"', text)
    return llvm.parse_assembly(text)


def optimise(module: Any, machine: Any) -> None:
    """Keep the entries, inline the rest, optimise for the processor."""
    names = {symbol(name) for name in EXTERNAL + WHOLE}
    for item in (*module.functions, *module.global_variables):
        if not item.is_declaration and item.name not in names:
            item.linkage = "internal"
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    first = builder.getModulePassManager()
    first.add_refprune_pass()
    first.run(module, builder)
    builder.getModulePassManager().run(module, builder)


def absent(name: str) -> str:
    """What stands for a kernel that no program calls."""
    return f"""
target triple = ""
target datalayout = ""
define i64 @{symbol(name)}(i64, i64, i64, i64) {{
  unreachable
}}"""


def linked(machine: Any, kernels: Collection[str], progress: Callable[[str], None], tune: str) -> Any:
    """One module of the entries, these kernels (by name; none: all) and the functions that they call."""
    whole: Any = None
    waiting = list(EXTERNAL if kernels else EXTERNAL + WHOLE)
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        progress(name)
        left_out = kernels and name in INSTRUCTIONS and name not in kernels
        text = absent(name) if left_out else lower(name)
        module = retargeted(text, machine, tune)
        called = {f.name.removeprefix(symbol("")) for f in module.functions if f.is_declaration} & FUNCTIONS.keys()
        waiting += sorted(called - seen)
        seen |= called
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    return whole


def compile_library(
    progress: Callable[[str], None], machine: Machine | None = None, kernels: Collection[str] = ()
) -> tuple[Any, Any]:
    """The optimised module and its code generator."""
    machine = machine or Machine()
    generator = machine.generator()
    with global_compiler_lock:
        whole = linked(generator, kernels, progress, machine.tune)
    progress("optimising")
    optimise(whole, generator)
    if machine.triple.startswith("arm"):
        whole = llvm.parse_assembly(scalar_floats(str(whole)))
    return whole, generator


def build(
    output: str,
    machine: Machine | None = None,
    kernels: Collection[str] = (),
    prefix: str = "edgernn",
    with_entries: bool = False,
) -> None:
    """Write the object to `output`, with_entries: those that Python calls; prints a line for each step."""
    module, generator = compile_library(lambda name: print(name, flush=True), machine, kernels)
    if with_entries:
        text = entries.text(4 if generator.triple.startswith("arm") else 8)
        module.link_in(llvm.parse_assembly(f'target triple = "{generator.triple}"\n{text}'))
    for name in EXTERNAL:
        function = module.get_function(symbol(name))
        function.name = f"{prefix}_{name}"
        if not with_entries and kernels:
            function.visibility = "hidden"
    Path(output).write_bytes(generator.emit_object(module))
