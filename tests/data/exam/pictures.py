"""Draws the exam's pictures as SVG; every curve is computed here.

Signs are numbers and unit symbols only, so that one picture serves each language.
"""

from math import exp, pi, sin

INK, SOFT, GRID, ACCENT, FILL = "#1B2430", "#566273", "#D8DEE6", "#0B5FA5", "#E8F1F9"


def path(points, colour=ACCENT, width=3):
    steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return f'<path d="{steps}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def line(x1, y1, x2, y2, colour=SOFT, width=1.5, dash=""):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'


def text(x, y, words, size=20, anchor="middle", colour=INK):
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def mark(x, y, sign):
    return (f'<circle cx="{x}" cy="{y}" r="17" fill="#FFFFFF" stroke="{INK}" stroke-width="2"/>'
            + text(x, y + 7, sign))


def axes(x, y, right, top, across, up):
    return (line(x, y, right, y, INK, 2) + line(x, y, x, top, INK, 2)
            + text(right - 4, y + 30, across, 18, "end", SOFT) + text(x + 10, top + 14, up, 18, "start", SOFT))


def sheet(inside, width=900, height=460):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Inter, Noto Sans, sans-serif">'
            f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>{inside}</svg>')


def bell(t, middle, width, height):
    return height * exp(-((t - middle) / width) ** 2)


def heartbeat(t):
    """Millivolts of lead II at t seconds into a beat of 0.8 s."""
    return (bell(t, 0.16, 0.030, 0.16) + bell(t, 0.285, 0.008, -0.12) + bell(t, 0.312, 0.013, 1.15)
            + bell(t, 0.342, 0.010, -0.26) + bell(t, 0.56, 0.050, 0.32))


def action_potential():
    def volts(t):
        if t < 1.0:
            return -70
        if t < 1.25:
            return -70 + 15 * (t - 1.0) / 0.25
        if t < 1.7:
            s = (t - 1.25) / 0.45
            return -55 + 90 * (s * s * (3 - 2 * s))
        if t < 2.6:
            s = (t - 1.7) / 0.9
            return 35 - 115 * (s * s * (3 - 2 * s))
        return -70 - 10 * exp(-(t - 2.6) / 0.55)

    def at(t):
        return 90 + 150 * t, 225 - 2.3 * volts(t)

    levels = "".join(line(90, 225 - 2.3 * v, 840, 225 - 2.3 * v, GRID, 1, "6 6")
                     + text(80, 231 - 2.3 * v, f"{v:+d}".replace("-", "−") if v else "0", 17, "end", SOFT)
                     for v in (35, 0, -55, -70))
    curve = path([at(i / 200) for i in range(1000)])
    return sheet(axes(90, 424, 860, 30, "t, ms", "mV") + levels + curve
                 + mark(293, 240, "1") + mark(468, 225, "2") + mark(545, 352, "3") + mark(160, 360, "4"))


def paper(left, top, right, bottom, small):
    lines = []
    for i in range(round((right - left) / small) + 1):
        x = left + i * small
        lines.append(line(x, top, x, bottom, "#F0B7B1" if i % 5 == 0 else "#F9E3E0", 1.4 if i % 5 == 0 else 0.8))
    for i in range(round((bottom - top) / small) + 1):
        y = top + i * small
        lines.append(line(left, y, right, y, "#F0B7B1" if i % 5 == 0 else "#F9E3E0", 1.4 if i % 5 == 0 else 0.8))
    return "".join(lines)


def ecg_waves():
    curve = path([(100 + 900 * i / 1000, 310 - 170 * heartbeat(i / 1000)) for i in range(800)], INK)
    return sheet(paper(50, 30, 850, 430, 16) + curve
                 + mark(244, 240, "1") + mark(425, 90, "2") + mark(604, 210, "3"))


def ecg_rhythm():
    small = 9  # one millimetre of paper is 0.04 s at 25 mm/s
    second = 25 * small
    curve = path([(45 + second * i / 500, 280 - 90 * heartbeat((i / 500 + 0.113) % 0.8)) for i in range(1780)], INK, 2.5)
    return sheet(paper(45, 70, 855, 385, small) + curve + text(855, 50, "25 mm/s · ▢ = 0.2 s", 20, "end", SOFT)
                 + text(45, 50, "II", 22, "start"))


def conduction():
    outline = ('<path d="M450 60 C330 30 230 90 235 200 C238 300 330 380 450 430 C570 380 662 300 665 200 '
               f'C670 90 570 30 450 60 Z" fill="{FILL}" stroke="{INK}" stroke-width="3"/>')
    walls = (line(450, 62, 450, 205, INK, 3) + line(450, 245, 450, 372, INK, 10)
             + path([(238, 222), (320, 215), (390, 225)], INK, 3) + path([(510, 225), (580, 215), (662, 222)], INK, 3))
    ways = (path([(300, 105), (345, 140), (400, 185), (430, 215)], ACCENT, 3)
            + path([(300, 105), (380, 82), (520, 100), (570, 130)], ACCENT, 3)
            + path([(432, 216), (450, 240), (450, 280)], ACCENT, 6)
            + path([(450, 280), (425, 330), (400, 365), (350, 330), (300, 275)], ACCENT, 3)
            + path([(450, 280), (475, 330), (500, 365), (550, 330), (600, 275)], ACCENT, 3)
            + f'<circle cx="300" cy="105" r="13" fill="{ACCENT}"/><circle cx="432" cy="216" r="10" fill="{ACCENT}"/>')
    signs = (line(287, 98, 160, 60) + mark(143, 55, "1") + line(424, 222, 160, 250) + mark(143, 253, "2")
             + line(456, 265, 742, 190) + mark(760, 185, "3") + line(598, 282, 742, 340) + mark(760, 346, "4"))
    return sheet(outline + walls + ways + signs)


def pressure():
    def mmhg(t):  # one beat of 0.8 s: 80 at its start, 120 at its top
        if t < 0.16:
            return 80 + 40 * sin(pi / 2 * t / 0.16)
        if t < 0.30:
            return 120 - 22 * ((t - 0.16) / 0.14) ** 1.6
        if t < 0.34:
            return 98 + 5 * sin(pi * (t - 0.30) / 0.08)
        return 80 + 23 * (exp(-(t - 0.34) / 0.25) - exp(-0.46 / 0.25)) / (1 - exp(-0.46 / 0.25))

    def at(t):
        return 90 + 310 * t, 415 - 5.6 * (mmhg(t % 0.8) - 60)

    levels = "".join(line(90, 415 - 5.6 * (p - 60), 850, 415 - 5.6 * (p - 60), GRID, 1, "6 6")
                     + text(80, 421 - 5.6 * (p - 60), str(p), 17, "end", SOFT) for p in (60, 80, 100, 120))
    curve = path([at(i / 500) for i in range(1200)])
    notch = at(0.8 + 0.30)
    return sheet(axes(90, 424, 860, 20, "t", "mmHg") + levels + curve
                 + line(notch[0], notch[1] - 4, notch[0] + 60, notch[1] - 68) + mark(notch[0] + 72, notch[1] - 80, "1"))


def spirogram():
    def litres(t):
        quiet = 2.4 + 0.25 * sin(2 * pi * t / 4 - pi / 2) + 0.25
        if t < 12:
            return quiet
        if t < 15:
            s = (t - 12) / 3
            return 2.4 + 3.4 * (s * s * (3 - 2 * s))
        if t < 20:
            s = (t - 15) / 5
            return 5.8 - 4.6 * (s * s * (3 - 2 * s))
        if t < 22:
            s = (t - 20) / 2
            return 1.2 + 1.2 * (s * s * (3 - 2 * s))
        return 2.4 + 0.25 * sin(2 * pi * (t - 22) / 4 - pi / 2) + 0.25

    def y(v):
        return 424 - 65 * v

    curve = path([(90 + 17 * i / 20, y(litres(i / 20))) for i in range(560)])
    levels = "".join(line(90, y(v), 850, y(v), GRID, 1.2, "6 6") for v in (1.2, 2.4, 2.9, 5.8))
    scale = "".join(text(80, y(v) + 6, str(v), 17, "end", SOFT) for v in range(7))

    def span(x, low, high, sign, beside=34):
        middle = (y(low) + y(high)) / 2
        return (line(x, y(low), x, y(high), INK, 2) + line(x - 7, y(low), x + 7, y(low), INK, 2)
                + line(x - 7, y(high), x + 7, y(high), INK, 2) + mark(x + beside, middle, sign))

    spans = (span(620, 2.4, 2.9, "1") + span(700, 2.9, 5.8, "2") + span(700, 1.2, 2.4, "3") + span(700, 0, 1.2, "4"))
    return sheet(axes(90, 424, 860, 14, "t", "V, L") + levels + scale + curve + spans)


def oxygen():
    def share(p, half):
        return 100 * p ** 2.7 / (p ** 2.7 + half ** 2.7)

    def at(p, half):
        return 90 + 7.2 * p, 420 - 3.6 * share(p, half)

    levels = "".join(line(90, 420 - 3.6 * s, 830, 420 - 3.6 * s, GRID, 1, "6 6")
                     + text(80, 426 - 3.6 * s, str(s), 17, "end", SOFT) for s in (25, 50, 75, 100))
    ticks = "".join(line(90 + 7.2 * p, 420, 90 + 7.2 * p, 427, INK, 2) + text(90 + 7.2 * p, 446, str(p), 17, "middle", SOFT)
                    for p in (20, 40, 60, 80))
    one = path([at(i / 4, 26.6) for i in range(401)])
    two = path([at(i / 4, 36) for i in range(401)], "#8A5A00") .replace("/>", ' stroke-dasharray="12 7"/>')
    return sheet(axes(90, 420, 850, 20, "", "HbO₂, %") + text(850, 446, "pO₂, mmHg", 18, "end", SOFT) + levels + ticks + one + two
                 + mark(255, 165, "1") + mark(395, 265, "2"))


def nephron():
    def tube(points, colour, width):
        return path(points, INK, width + 5) + path(points, colour, width)

    def smooth(points, steps=14):
        out = []
        for i in range(len(points) - 1):
            p0, p1 = points[max(i - 1, 0)], points[i]
            p2, p3 = points[i + 1], points[min(i + 2, len(points) - 1)]
            for k in range(steps):
                t = k / steps
                out.append(tuple(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t
                                        + (3 * b - a - 3 * c + d) * t ** 3) for a, b, c, d in zip(p0, p1, p2, p3)))
        return out + [points[-1]]

    way = smooth([(215, 125), (275, 120), (300, 70), (345, 75), (345, 135), (385, 150), (405, 100), (440, 110), (445, 190),
                  (445, 300), (448, 380), (475, 410), (502, 380), (505, 300), (505, 190), (500, 130), (540, 75), (585, 95),
                  (570, 150), (610, 165), (650, 120), (700, 115)])
    duct = [(712, 60), (712, 150), (712, 430)]
    capsule = (f'<circle cx="165" cy="125" r="58" fill="#FFFFFF" stroke="{INK}" stroke-width="3"/>'
               + path([(60, 95), (120, 105)], "#B3261E", 6) + path([(60, 155), (120, 145)], "#B3261E", 6)
               + "".join(f'<circle cx="{165 + 22 * dx}" cy="{125 + 22 * dy}" r="17" fill="none" stroke="#B3261E" stroke-width="5"/>'
                         for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))))
    signs = (mark(165, 222, "1") + mark(322, 190, "2") + mark(555, 365, "3") + mark(612, 222, "4") + mark(775, 300, "5"))
    return sheet(line(30, 240, 870, 240, GRID, 2, "10 8") + tube(duct, "#F0D9B0", 26) + tube(way, FILL, 17) + capsule + signs)


def reflex_arc():
    cord = (f'<ellipse cx="620" cy="220" rx="215" ry="170" fill="#FFFFFF" stroke="{INK}" stroke-width="3"/>'
            f'<path d="M620 200 C575 120 530 95 505 110 C500 150 545 190 570 215 C540 250 500 300 520 335 '
            'C570 345 605 290 620 245 C635 290 670 345 720 335 C740 300 700 250 670 215 C695 190 740 150 735 110 '
            f'C710 95 665 120 620 200 Z" fill="{FILL}" stroke="{SOFT}" stroke-width="2"/>')
    skin = path([(60, 70), (60, 150)], "#8A5A00", 12) + path([(72, 80), (90, 90)], ACCENT) + path([(72, 140), (90, 128)], ACCENT)
    muscle = f'<ellipse cx="95" cy="365" rx="62" ry="26" fill="#F3D5D2" stroke="{INK}" stroke-width="3"/>'
    ways = (path([(72, 110), (250, 92), (420, 100), (515, 130)])
            + f'<ellipse cx="360" cy="62" rx="24" ry="16" fill="{FILL}" stroke="{ACCENT}" stroke-width="3"/>' + path([(360, 78), (360, 97)])
            + path([(515, 130), (548, 170)]) + f'<circle cx="556" cy="182" r="11" fill="{ACCENT}"/>'
            + path([(556, 193), (550, 270)]) + f'<circle cx="548" cy="290" r="16" fill="{ACCENT}"/>'
            + path([(540, 302), (420, 375), (250, 385), (150, 370)]))
    signs = (mark(60, 38, "1") + mark(230, 58, "2") + mark(598, 160, "3") + mark(300, 345, "4") + mark(95, 425, "5"))
    return sheet(cord + skin + muscle + ways + signs)


PICTURES = {
    "action-potential": action_potential, "ecg-waves": ecg_waves, "ecg-rhythm": ecg_rhythm, "conduction": conduction,
    "pressure": pressure, "spirogram": spirogram, "oxygen": oxygen, "nephron": nephron, "reflex-arc": reflex_arc,
}
