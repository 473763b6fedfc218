"""The kernel library as one relocatable object.

Numba types and lowers each kernel to unoptimised LLVM IR without running the host's code generator (which may not know
the instructions). The modules are linked, retargeted, optimised for the wanted processor and emitted. Needs
NUMBA_OPT=0 and EDGERNN_COMPILE_ISA set before numba is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core import compiler
from numba.core.compiler import Flags
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from edgernn.kernels.cpu import walk  # noqa: F401  (registers every function)
from edgernn.kernels.cpu.functions import FUNCTIONS, KERNELS, symbol
from edgernn.kernels.cpu.isa import ISA

EXTERNAL = ("run", "prepare")


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


def target_machine() -> Any:
    """LLVM's code generator for the instruction set."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(ISA_TRIPLE)
    return target.create_target_machine(cpu=ISA.cpu, features=ISA.features, opt=3, reloc="pic", codemodel="default")


ISA_TRIPLE = llvm.get_default_triple()


def retargeted(text: str, machine: Any) -> Any:
    """The module for another target."""
    text = re.sub(r"target triple = .*", f'target triple = "{ISA_TRIPLE}"', text)
    text = re.sub(r"target datalayout = .*", f'target datalayout = "{machine.target_data}"', text)
    return llvm.parse_assembly(text)


def optimise(module: Any, machine: Any) -> None:
    """Keep the entries, inline the rest, optimise for the processor."""
    names = {symbol(name) for name in EXTERNAL}
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


def compile_library(progress: Callable[[str], None]) -> tuple[Any, Any]:
    """The optimised module and its target machine."""
    machine = target_machine()
    whole: Any = None
    with global_compiler_lock:
        for name in FUNCTIONS:
            progress(name)
            module = retargeted(lower(name), machine)
            if whole is None:
                whole = module
            else:
                whole.link_in(module)
    progress("optimising")
    optimise(whole, machine)
    return whole, machine


def build(output: str) -> None:
    """Write the object to `output`, printing a line for each step."""
    module, machine = compile_library(lambda name: print(name, flush=True))
    Path(output).write_bytes(machine.emit_object(module))
