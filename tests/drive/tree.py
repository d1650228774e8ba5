"""Prints what a screen reader sees of one program, as a JSON list.

    tree.py PROGRAM

Each entry: role, name, value, states, x, y, width, height; places are on the screen.
"""

import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402

STATES = {
    "checked": Atspi.StateType.CHECKED,
    "enabled": Atspi.StateType.ENABLED,
    "focused": Atspi.StateType.FOCUSED,
    "showing": Atspi.StateType.SHOWING,
    "selected": Atspi.StateType.SELECTED,
}
NODES_MAX = 4000


def value(node):
    try:
        text = node.get_text_iface()
        return text.get_text(0, text.get_character_count()) if text else ""
    except Exception:  # a node may vanish between two questions
        return ""


def entry(node):
    box = node.get_component_iface()
    place = box.get_extents(Atspi.CoordType.SCREEN) if box else None
    states = node.get_state_set()
    return {
        "role": node.get_role_name(),
        "name": node.get_name() or "",
        "value": value(node),
        "states": [name for name, state in STATES.items() if states.contains(state)],
        "x": place.x if place else 0,
        "y": place.y if place else 0,
        "width": place.width if place else 0,
        "height": place.height if place else 0,
    }


def walk(node, found):
    if len(found) >= NODES_MAX:
        return
    try:
        found.append(entry(node))
        children = [node.get_child_at_index(i) for i in range(node.get_child_count())]
    except Exception:  # a node may vanish between two questions
        return
    for child in children:
        if child:
            walk(child, found)


def main():
    wanted = sys.argv[1]
    Atspi.init()
    found = []
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        program = desktop.get_child_at_index(i)
        if program and wanted in (program.get_name() or ""):
            walk(program, found)
    print(json.dumps(found, ensure_ascii=False))


main()
