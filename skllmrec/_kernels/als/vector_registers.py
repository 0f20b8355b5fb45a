"""Vectors of one cache line, for compiled loops that keep them in registers (importing this imports numba).

Loops over a row of factors are short: 64 numbers are four AVX-512 registers. A vectorising compiler spends more time
on finding out that arrays do not overlap, on remainders and on adding up lanes than on arithmetic. Loops written with
these functions need no such analysis: a `Vector` is 64 bytes of an array, 16 float32 or 8 float64, a `Quad` is
four numbers, and on processors with shorter registers the code generator uses several of them for one vector.

All functions are called from ``njit`` code only. Offsets are flat positions in C-contiguous arrays; nothing checks
them. Loads are fastest from arrays that start at a multiple of 64 bytes: `skllmrec._kernels.als.row_solver.empty_rows`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

_LINE = 64  # bytes
_FLAGS = ("reassoc", "contract", "nsz", "arcp")  # sums in any order, products and sums in one rounding
_I32 = ir.IntType(32)
_Typed: TypeAlias = tuple[Any, Callable[..., Any]]  # signature of an intrinsic, and what generates its code


class Vector(types.Type):
    """The compiler's type of one cache line of numbers."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.n_lanes = _LINE * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype})")


class Quad(types.Type):
    """The compiler's type of four numbers."""

    n_lanes = 4

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Quad({dtype})")


@register_model(Vector)
@register_model(Quad)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        scalar = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(scalar, kind.n_lanes))


def _pointer(context, builder, array_type, array, offset):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def _shuffle(builder, first, second, lanes):
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes)))


def _fold(builder, value, width):
    """Add halves until `width` lanes are left."""
    while value.type.count > width:
        half = value.type.count // 2
        low, high = (_shuffle(builder, value, value, range(start, start + half)) for start in (0, half))
        value = builder.fadd(low, high, flags=_FLAGS)
    return value


@intrinsic
def n_lanes(typingctx: Any, array: Any) -> _Typed:
    """Numbers in a vector of an array's dtype, known to the compiler."""

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.intp, Vector(array.dtype).n_lanes)

    return types.intp(array), generate


def _zeros_of(kind):
    def typed(typingctx, array):
        def generate(context, builder, signature, arguments):
            return ir.Constant(context.get_value_type(signature.return_type), None)

        return kind(array.dtype)(array), generate

    return intrinsic(typed)


def _loader_of(kind):
    def typed(typingctx, array, offset):
        def generate(context, builder, signature, arguments):
            pointer = _pointer(context, builder, signature.args[0], *arguments)
            lanes = context.get_value_type(signature.return_type).as_pointer()
            return builder.load(builder.bitcast(pointer, lanes), align=array.dtype.bitwidth // 8)

        return kind(array.dtype)(array, types.intp), generate

    return intrinsic(typed)


zeros = _zeros_of(Vector)  # zeros(array): of its dtype
zeros4 = _zeros_of(Quad)
load = _loader_of(Vector)  # load(array, offset)
load4 = _loader_of(Quad)


@intrinsic
def store(typingctx: Any, array: Any, offset: Any, vector: Any) -> _Typed:
    """Write a vector to ``array[offset:]``."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        lanes = arguments[2].type.as_pointer()
        builder.store(arguments[2], builder.bitcast(pointer, lanes), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def spread(typingctx: Any, number: Any) -> _Typed:
    """Fill a vector with one number."""
    vector = Vector(number)

    def generate(context, builder, signature, arguments):
        undefined = ir.Constant(context.get_value_type(vector), ir.Undefined)
        first = builder.insert_element(undefined, arguments[0], _I32(0))
        return _shuffle(builder, first, first, [0] * vector.n_lanes)

    return vector(number), generate


def _spread_lane(lane):
    def typed(typingctx, quad):
        vector = Vector(quad.dtype)

        def generate(context, builder, signature, arguments):
            return _shuffle(builder, arguments[0], arguments[0], [lane] * vector.n_lanes)

        return vector(quad), generate

    return intrinsic(typed)


spread0, spread1, spread2, spread3 = (_spread_lane(lane) for lane in range(4))  # one number of a quad


def _arithmetic(operation):
    def typed(typingctx, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, operation)(*arguments, flags=_FLAGS)

        return a(a, b), generate

    return intrinsic(typed)


add = _arithmetic("fadd")
subtract = _arithmetic("fsub")
multiply = _arithmetic("fmul")
divide = _arithmetic("fdiv")


@intrinsic
def add_product(typingctx: Any, total: Any, a: Any, b: Any) -> _Typed:
    """Compute ``total + a * b``."""

    def generate(context, builder, signature, arguments):
        product = builder.fmul(arguments[1], arguments[2], flags=_FLAGS)
        return builder.fadd(arguments[0], product, flags=_FLAGS)

    return total(total, a, b), generate


@intrinsic
def total(typingctx: Any, lanes: Any) -> _Typed:
    """Sum up a vector or a quad."""

    def generate(context, builder, signature, arguments):
        return builder.extract_element(_fold(builder, arguments[0], 1), _I32(0))

    return lanes.dtype(lanes), generate


@intrinsic
def totals(typingctx: Any, a: Any, b: Any, c: Any, d: Any) -> _Typed:
    """Sum up four vectors, into a quad: lanes are interleaved, so that one addition serves two vectors."""

    def generate(context, builder, signature, arguments):
        n = arguments[0].type.count
        quads = range(0, n, 4)
        # of each four lanes: x0 y0 x1 y1 + x2 y2 x3 y3, then x0 x1 y0 y1 + x2 x3 y2 y3
        alternating = [[q + lane for q in quads for lane in (s, n + s, s + 1, n + s + 1)] for s in (0, 2)]
        adjoining = [[q + lane for q in quads for lane in (s, s + 1, n + s, n + s + 1)] for s in (0, 2)]

        def merge(first, second, patterns):
            return builder.fadd(*(_shuffle(builder, first, second, lanes) for lanes in patterns), flags=_FLAGS)

        a, b, c, d = arguments
        merged = merge(merge(a, b, alternating), merge(c, d, alternating), adjoining)
        return _fold(builder, merged, 4)

    return Quad(a.dtype)(a, b, c, d), generate


@intrinsic
def prefetch(typingctx: Any, array: Any, offset: Any) -> _Typed:
    """Prefetch the cache line of ``array[offset]``."""

    def generate(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(_pointer(context, builder, signature.args[0], *arguments), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        name, module = "llvm.prefetch.p0", builder.module
        function = module.globals.get(name) or ir.Function(module, kind, name)
        builder.call(function, [pointer, _I32(0), _I32(3), _I32(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
