"""An MCP server over Streamable HTTP for what language models do badly: exact arithmetic, clocks and calendars.

Usage: python desk_server.py [PORT]

Without a port it takes a free one. The first line it prints is the URL it listens on.
"""

from __future__ import annotations

import ast
import calendar
import operator
import re
import socket
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo, available_timezones

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel

LOOK_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
LONGEST_EXPRESSION = 500
LARGEST_EXPONENT = 1000
MOST_BITS = 100_000
"""Numbers wider than this are refused, so that `9**9**9` costs nothing."""

OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Calculation(BaseModel):
    expression: str
    result: str
    exact: bool


class Clock(BaseModel):
    place: str
    zone: str
    date: str
    time: str
    weekday: str
    utc_offset: str


class Difference(BaseModel):
    start: str
    end: str
    days: int
    weeks: int
    working_days: int


class Day(BaseModel):
    date: str
    weekday: str
    week: int
    day_of_year: int
    leap_year: bool


def evaluate(expression: str) -> Fraction:
    """The exact value of an arithmetic expression; `37%` is 37/100. Walks the syntax tree: nothing is executed."""
    if len(expression) > LONGEST_EXPRESSION:
        raise ToolError(f"The expression is longer than {LONGEST_EXPRESSION} characters.")
    plain = expression.replace("×", "*").replace("÷", "/").replace("−", "-").replace("^", "**")
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    plain = re.sub(r"(\d+(?:\.\d+)?)\s*%\s*of\b", r"(\1/100)*", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(\d+(?:\.\d+)?)\s*%(?!\s*[\w(])", r"(\1/100)", plain)
    try:
        return _value(ast.parse(plain.strip(), mode="eval").body, plain.strip())
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise ToolError(f"`{expression}` is not an arithmetic expression.") from error
    except ZeroDivisionError as error:
        raise ToolError(f"`{expression}` divides by zero.") from error


def _value(node: ast.expr, source: str) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Fraction(ast.get_source_segment(source, node) or str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        operand = _value(node.operand, source)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, source), _value(node.right, source)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if (operate := OPERATORS.get(type(node.op))) is not None:
            return Fraction(operate(left, right))
    raise ToolError("Only numbers, brackets and + - * / // % ** are understood.")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > LARGEST_EXPONENT:
        raise ToolError(f"Exponents are whole numbers between -{LARGEST_EXPONENT} and {LARGEST_EXPONENT}.")
    width = max(base.numerator.bit_length(), base.denominator.bit_length())
    if width * abs(int(exponent)) > MOST_BITS:
        raise ToolError("The number would be too long to write down.")
    return Fraction(base**exponent.numerator)


def written(value: Fraction) -> tuple[str, bool]:
    """The number as text and whether that text is exact: `458.8`, or 28 digits of `1/3`."""
    if value.denominator == 1:
        return str(value.numerator), True
    with localcontext() as context:
        context.prec = 28
        text = format(Decimal(value.numerator) / Decimal(value.denominator), "f")
    return text, Fraction(text) == value


def find_zone(place: str) -> str:
    """The time zone of a city (`Tokyo`, `new york`) or the zone itself (`Europe/Paris`, `UTC`)."""
    wanted = re.sub(r"[\s_]+", "_", place.strip()).casefold()
    zones = sorted(available_timezones())
    found = [zone for zone in zones if zone.casefold() == wanted]
    found += [zone for zone in zones if zone.rpartition("/")[2].casefold() == wanted]
    if not found:
        raise ToolError(f"No time zone is named after `{place}`; try a larger city nearby or a name like `Asia/Tokyo`.")
    return found[0]


def parse_day(text: str) -> date:
    """A date: `2026-03-01`, `today`, `tomorrow` or `yesterday`."""
    shift = {"today": 0, "tomorrow": 1, "yesterday": -1}.get(text.strip().casefold())
    if shift is not None:
        return datetime.now().astimezone().date() + timedelta(days=shift)
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise ToolError(f"`{text}` is not a date of the calendar; write it like 2026-03-01.") from error


def difference(start: date, end: date) -> Difference:
    """Days from ``start`` to ``end``; working days are Monday to Friday, the earlier date included."""
    days = (end - start).days
    weeks, rest = divmod(abs(days), 7)
    earlier = min(start, end)
    working = weeks * 5 + sum((earlier.weekday() + step) % 7 < 5 for step in range(rest))
    return Difference(start=start.isoformat(), end=end.isoformat(), days=days, weeks=weeks, working_days=working)


def _weekday(day: date) -> str:
    return calendar.day_name[day.weekday()]


def build_server() -> MCPServer:
    """A server with a calculator, a clock and a calendar."""
    server = MCPServer("desk", instructions="Exact arithmetic, clocks and calendars.", log_level="WARNING")

    @server.tool(annotations=LOOK_ONLY)
    def calculate(expression: str) -> Calculation:
        """Calculate exactly: + - * / // % ** and brackets; also `37% of 1240`."""
        text, exact = written(evaluate(expression))
        return Calculation(expression=expression.strip(), result=text, exact=exact)

    @server.tool(annotations=LOOK_ONLY)
    def current_time(place: str = "UTC") -> Clock:
        """The time and date now in a city or time zone."""
        zone = find_zone(place)
        now = datetime.now(ZoneInfo(zone))
        offset = now.strftime("%z")
        return Clock(
            place=zone.rpartition("/")[2].replace("_", " "),
            zone=zone,
            date=now.date().isoformat(),
            time=now.strftime("%H:%M"),
            weekday=_weekday(now.date()),
            utc_offset=f"{offset[:3]}:{offset[3:5]}",
        )

    @server.tool(annotations=LOOK_ONLY)
    def days_between(start: str, end: str) -> Difference:
        """Days from one date to another; dates are like 2026-03-01, or today, tomorrow, yesterday."""
        return difference(parse_day(start), parse_day(end))

    @server.tool(annotations=LOOK_ONLY)
    def describe_day(day: str) -> Day:
        """Weekday, ISO week and place in the year of a date."""
        found = parse_day(day)
        return Day(
            date=found.isoformat(),
            weekday=_weekday(found),
            week=found.isocalendar().week,
            day_of_year=found.timetuple().tm_yday,
            leap_year=calendar.isleap(found.year),
        )

    return server


def main(port: int) -> None:
    """Serves on 127.0.0.1 until stopped."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        app = build_server().streamable_http_app(host="127.0.0.1")
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if len(sys.argv) > 2 or not all(argument.isdigit() for argument in sys.argv[1:]):
        sys.exit("usage: desk_server.py [PORT]")
    main(int(sys.argv[1]) if len(sys.argv) == 2 else 0)
