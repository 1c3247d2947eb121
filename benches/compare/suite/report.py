"""Tables for people, and which bars are met."""

BEGIN, END = "<!-- results: written by benches/compare/run -->", "<!-- end of results -->"
OURS, BESIDE = "switchyard", "nginx"


def brief(result):
    if "error" in result:
        return "failed"
    if "ms" in result:
        return f"{result['ms']:.0f} ms"
    return f"{result['per_second']:.0f}/s"


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def spread(result):
    low, high = result["spread"]["per_second"]
    return f"{number(result['per_second'])} ({number(low)}–{number(high)})"


def ratio(row, key, upside=True):
    ours, theirs = row["results"].get(OURS, {}), row["results"].get(BESIDE, {})
    if not ours.get(key) or not theirs.get(key):
        return None
    return ours[key] / theirs[key]


def usual(section, about):
    """One line for each contender of each row."""
    head = [*about, "", "calls/s, median (least–most)", "CPU s per 100 000", "p50 µs", "p99 µs"]
    rows = []
    for row in section:
        for name, result in row["results"].items():
            begin = [row[key] for key in about] + [name]
            if "error" in result:
                rows.append(begin + ["failed", "", "", ""])
                continue
            cpu = result.get("cpu_s_per_100k")
            rows.append(begin + [spread(result), number(cpu), number(result["p50_us"]), number(result["p99_us"])])
    return table(head, rows)


def streams(section):
    head = ["connections", "", "calls/s, median (least–most)", "CPU s per 100 000", "first event p50 µs", "p99 µs"]
    rows = []
    for row in section:
        for name, result in row["results"].items():
            if "error" not in result:
                first = number(result.get("first_event_p50_us")), number(result.get("first_event_p99_us"))
                rows.append([row["connections"], name, spread(result), number(result.get("cpu_s_per_100k")), *first])
    return table(head, rows)


def starts(section):
    rows = [[row["backends"], number(row["cold_ms"]), number(row["results"]["kept"]["ms"])] for row in section]
    return table(["stdio backends", "without a kept catalog, ms", "with one, ms"], rows)


def growths(section):
    head = ["grows", "to", "calls/s, median (least–most)", "CPU s per 100 000", "p50 µs", "p99 µs"]
    rows = []
    for row in section:
        result = row["results"][OURS]
        if "error" not in result:
            rows.append([row["grows"], row["to"], spread(result), number(result["cpu_s_per_100k"]), number(result["p50_us"]), number(result["p99_us"])])
    return table(head, rows)


def memories(section):
    rows = [
        ["idle, 10 backends of 100 tools, MB", number(section["idle_kb"] / 1024)],
        ["after load over 64 connections, MB", number(section["after_64_connections_kb"] / 1024)],
        ["a legacy session, KiB", number(section["per_session_bytes"] / 1024)],
        ["1 MB bodies over 64 connections: peak over the bytes in flight", number(section["large_bodies_over_in_flight"])],
    ]
    return table(["memory", ""], rows)


TITLES = {
    "calls": ("`tools/call`", lambda s: usual(s, ["bytes", "connections", "era"])),
    "latency": ("`tools/call` at a fixed rate, 64 connections", lambda s: usual(s, ["bytes", "rate"])),
    "lists": ("`tools/list`, 16 connections", lambda s: usual(s, ["tools"])),
    "initialize": ("`initialize`", lambda s: usual(s, ["connections"])),
    "stdio": ("A server on a pipe", lambda s: usual(s, ["connections"])),
    "stream": ("A call with 100 progress notifications", streams),
    "memory": ("Memory", memories),
    "start": ("From `serve` to the first whole list", starts),
    "growth": ("How cost grows", growths),
}


def beside_gateways(bar, row, alone, where):
    """What is asked of the gateway beside each other one; `alone` is the server without any."""
    ours, bare = row["results"].get(OURS, {}), row["results"].get(alone, {})
    for name, other in row["results"].items():
        if name in (OURS, BESIDE, alone) or not (ours.get("per_second") and other.get("per_second")):
            continue
        times = ours["per_second"] / other["per_second"]
        bar(f"calls/s over {name}'s ({where})", "≥ 3", times, times >= 3)
        if bare.get("p50_us") and other["p50_us"] > bare["p50_us"]:
            share = (ours["p50_us"] - bare["p50_us"]) / (other["p50_us"] - bare["p50_us"])
            bar(f"added p50 over {name}'s ({where})", "≤ 1/3", share, share <= 1 / 3)


def bars(sections):
    """Every bar: what was asked, what was reached, whether it was met."""
    found = []

    def bar(what, wanted, reached, met):
        if reached is not None:
            found.append({"bar": what, "wanted": wanted, "reached": reached, "met": bool(met)})

    for row in sections.get("calls", []):
        where = f"{row['bytes']} B, {row['connections']} connections, {row['era']}"
        if row["bytes"] <= 10_000 and row["connections"] > 1:
            speed, cost = ratio(row, "per_second"), ratio(row, "cpu_s_per_100k")
            bar(f"calls/s over nginx's ({where})", "≥ 1.0", speed, speed and speed >= 1.0)
            bar(f"CPU per call over nginx's ({where})", "≤ 1.2", cost, cost and cost <= 1.2)
        beside_gateways(bar, row, "direct", where)
    for row in sections.get("latency", []):
        for key, most in (("p50_us", 1.2), ("p99_us", 1.5)):
            added = added_over_direct(row, key)
            bar(f"added {key[:3]} over nginx's ({row['bytes']} B at {row['rate']}/s)", f"≤ {most}", added, added is not None and added <= most)
    for row in sections.get("lists", []):
        ours, file = row["results"].get(OURS, {}), row["results"].get("nginx, a file", {})
        if row["tools"] == 5_000 and ours.get("per_second") and file.get("per_second"):
            share = ours["per_second"] / file["per_second"]
            bar("5 000 tools listed, over nginx with a file", "≥ 0.8", share, share >= 0.8)
    for row in sections.get("stream", []):
        speed = ratio(row, "per_second")
        bar(f"streamed calls/s over nginx unbuffered ({row['connections']} connections)", "≥ 0.9", speed, speed and speed >= 0.9)
        ours, direct = (row["results"].get(name, {}).get("first_event_p50_us") for name in (OURS, "direct"))
        if row["connections"] == 1 and ours and direct:
            bar("first event later than direct, ms", "≤ 1", (ours - direct) / 1000, ours - direct <= 1000)
    for row in sections.get("stdio", []):
        ours, pipe = (row["results"].get(name, {}).get("per_second") for name in (OURS, "bare pipe"))
        if ours and pipe:
            bar(f"server on a pipe, over a bare client ({row['connections']} at a time)", "≥ 0.8", ours / pipe, ours / pipe >= 0.8)
        beside_gateways(bar, row, "bare pipe", f"a server on a pipe, {row['connections']} at a time")
    if "memory" in sections:
        m = sections["memory"]
        bar("idle memory, MB", "≤ 25", m["idle_kb"] / 1024, m["idle_kb"] / 1024 <= 25)
        bar("a session, KiB", "≤ 20", m["per_session_bytes"] / 1024, m["per_session_bytes"] / 1024 <= 20)
        over = m["large_bodies_over_in_flight"]
        bar("1 MB bodies, times the bytes in flight", "≤ 4", over, over <= 4)
    for row in sections.get("start", []):
        if row["backends"] == 50:
            taken = row["results"]["kept"]["ms"]
            bar("first list with 50 stdio backends, ms", "≤ 150", taken, taken <= 150)
    for what in ("backends", "tools"):
        rows = [row["results"][OURS] for row in sections.get("growth", []) if row["grows"] == what]
        costs = [row["cpu_s_per_100k"] for row in rows if row.get("cpu_s_per_100k")]
        if len(costs) > 1:
            bar(f"CPU per call, most over fewest {what}", "≤ 1.1", costs[-1] / costs[0], costs[-1] / costs[0] <= 1.1)
    return found


def added_over_direct(row, key):
    values = [row["results"].get(name, {}).get(key) for name in (OURS, BESIDE, "direct")]
    if None in values:
        return None
    ours, theirs, direct = values
    return max(ours - direct, 0) / max(theirs - direct, 1)


def markdown(results):
    about = results["machine"]
    parts = [
        f"{about['date']}, `{about['command'].strip()}` at {about['commit']}: {about['cores']} × {about['cpu']}, "
        f"Linux {about['kernel']}, nginx {about['nginx']}, {about['rustc']}; binary {about['binary_bytes'] / 1e6:.1f} MB; "
        f"load average before: {about['load_before']}.\n",
        "### Bars\n",
        table(["", "bar", "reached", "met"], [[b["bar"], b["wanted"], number(b["reached"]), "yes" if b["met"] else "**no**"] for b in results["bars"]]),
    ]
    for name, section in results["sections"].items():
        title, shown = TITLES[name]
        parts += [f"### {title}\n", shown(section)]
    return "\n".join(parts)


def publish(text, file):
    whole = file.read_text()
    before, rest = whole.split(BEGIN)
    after = rest.split(END)[1]
    file.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def wrong_answers(sections):
    """Of the gateway itself: what a peer gets wrong is its own affair, and shown as failed."""
    rows = [row for section in sections.values() if isinstance(section, list) for row in section]
    return [row["results"][OURS]["error"] for row in rows if "error" in row["results"].get(OURS, {})]
