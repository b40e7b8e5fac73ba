"""The colours and shapes of cards: those of the pictures."""

from __future__ import annotations

from ..diagram.looks import Look
from ..diagram.palette import DARK, HOLLOW, LIGHT, SHAPES, TONES

_CARD = ".jobledger-card"
#: how the notebooks there are say that they are dark
_DARK_GROUNDS = ('[data-jp-theme-light="false"] ', "body.vscode-dark ", "html[theme=dark] ")
_LIGHT_GROUNDS = ('[data-jp-theme-light="true"] ', "body.vscode-light ")

_LAYOUT = """
@{font:13px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;border-radius:8px;
background:var(--jl-ground);color:var(--jl-text);border:1px solid var(--jl-line);padding:10px 14px;max-width:60em}
@ .h{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:center}
@ .t{font-weight:600;font-size:14px}
@ code{font-size:11px;background:none;color:inherit;opacity:.7}
@ .b{display:inline-flex;gap:5px;align-items:center;border:1px solid;border-radius:10px;padding:0 9px 0 6px}
@ .p{display:flex;gap:10px;align-items:center;margin-top:5px}
@ .r{flex:0 0 220px;height:8px;border:1px solid var(--jl-line);border-radius:5px;overflow:hidden}
@ .r i{display:block;height:100%}
@ .c{display:flex;flex-wrap:wrap;gap:2px 14px;margin-top:6px}
@ .c span{display:inline-flex;gap:4px;align-items:center;white-space:nowrap}
@ table{border:0;border-collapse:collapse;margin:6px 0 0;background:none;font:inherit}
@ tr,@ th,@ td{background:none;border:0;color:inherit}
@ th{text-align:left;vertical-align:top;font-weight:400;padding:0 14px 0 0;white-space:nowrap;opacity:.7}
@ td{text-align:left;padding:0;overflow-wrap:anywhere}
@ .a,@ summary{margin-top:4px;overflow-wrap:anywhere}
@ pre{font-size:12px;overflow:auto;max-height:24em;margin:4px 0 0;padding:8px;border:1px solid var(--jl-line);
border-radius:6px;white-space:pre;background:none;color:inherit}
@ svg{width:14px;height:14px;flex:none}
@ .i{fill:none;stroke:var(--jl-ground);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
"""


def _colours(ground: str, *, dark: bool) -> str:
    tones = DARK if dark else LIGHT
    colours = [f"--jl-{name}:{tones[name]}" for name in ("ground", "text", "line")]
    for look, by_ground in TONES.items():
        strong, pale = by_ground[dark]
        colours.append(f"--jl-s{look.value}:{strong};--jl-p{look.value}:{pale}")
    return f"{ground}{_CARD}{{{';'.join(colours)}}}"


def _style() -> str:
    parts = [_LAYOUT.replace("\n", "").replace("@", _CARD)]
    for look in Look:
        n = look.value
        parts.append(f"{_CARD} .b{n}{{background:var(--jl-p{n});border-color:var(--jl-s{n})}}")
        parts.append(f"{_CARD} .f{n}{{background:var(--jl-s{n})}}")
        parts.append(f"{_CARD} .c{n}{{fill:var(--jl-s{n})}}{_CARD} .o{n}{{stroke:var(--jl-s{n})}}")
    dark = _colours("", dark=True)
    parts += [_colours("", dark=False), f"@media(prefers-color-scheme:dark){{{dark}}}"]
    parts += [_colours(ground, dark=False) for ground in _LIGHT_GROUNDS]
    parts += [_colours(ground, dark=True) for ground in _DARK_GROUNDS]
    return "".join(parts)


STYLE = _style()


def icon(look: Look) -> str:
    """Return the shape of a look, as SVG among text."""
    filled, line = SHAPES[look]
    own = f" o{look.value}" if look in HOLLOW else ""
    body = f'<path class="c{look.value}" d="{filled}"/>' if filled else ""
    mark = f'<path class="i{own}" d="{line}"/>' if line else ""
    return f'<svg viewBox="0 0 16 16" aria-hidden="true">{body}{mark}</svg>'
