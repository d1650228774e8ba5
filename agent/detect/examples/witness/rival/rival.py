"""Does the witness's work in plain Python: MediaPipe's mesh, the other models in ONNX Runtime.

rival.py EXAM SECONDS FOLDER MODELS prints processor time a second in ms, most memory in MB, and
how long 95 % of the pictures took at most in ms, by the clock and on the processor alone.
"""

import re
import sys
import time
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np
import onnxruntime as ort

EXAM, SECONDS = sys.argv[1], int(sys.argv[2])
FOLDER, MODELS = Path(sys.argv[3]), Path(sys.argv[4])
WIDTH, HEIGHT = 640, 480


def load(name):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(str(MODELS / name), options, providers=["CPUExecutionProvider"])


class Eyes:
    """Covered, frozen, faces, mesh and iris each second; things each fourth; whose face each twelfth."""

    def __init__(self):
        self.faces = load("centerface_q8.onnx")
        self.identity = load("dlibres_q8.onnx")
        self.things = load("nanodet_q8.onnx")
        self.mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
        self.before = None

    def look(self, second, i420):
        small = i420[:HEIGHT:4, ::4]
        covered = small.mean() < 40 or small.std() < 12
        frozen = self.before is not None and np.mean(self.before == small) > 0.995
        self.before = small.copy()
        rgb = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
        box = self.find(rgb)
        if box is None:
            return covered, frozen, None, None
        left, top, right, bottom = box
        crop = np.ascontiguousarray(rgb[top:bottom, left:right])
        points = self.mesh.process(crop).multi_face_landmarks
        numbers = self.who(crop) if second % 12 == 0 else None
        if second % 4 == 0:
            self.hold(rgb)
        return covered, frozen, points, numbers

    def find(self, rgb):
        scaled = cv2.resize(rgb, (320, 256), interpolation=cv2.INTER_AREA)
        given = scaled.astype(np.float32).transpose(2, 0, 1)[None]
        name = self.faces.get_inputs()[0].name
        heat, scale, offset = self.faces.run(None, {name: given})[:3]
        row, column = np.unravel_index(heat[0, 0].argmax(), heat[0, 0].shape)
        if heat[0, 0, row, column] < 0.3:
            return None
        tall, wide = np.exp(scale[0, :, row, column]) * 4
        y = (row + offset[0, 0, row, column] + 0.5) * 4
        x = (column + offset[0, 1, row, column] + 0.5) * 4
        half_x, half_y = wide * 0.75, tall * 0.75
        left, right = (x - half_x) * 2, (x + half_x) * 2
        top, bottom = (y - half_y) * 1.875, (y + half_y) * 1.875
        edges = (max(left, 0), max(top, 0), min(right, WIDTH), min(bottom, HEIGHT))
        return tuple(int(edge) for edge in edges)

    def hold(self, rgb):
        side = cv2.resize(rgb[:, 80:560], (416, 416))[:, :, ::-1].astype(np.float32)
        given = (side - np.float32([103.53, 116.28, 123.675])) / np.float32([57.375, 57.12, 58.395])
        name = self.things.get_inputs()[0].name
        return self.things.run(None, {name: given.transpose(2, 0, 1)[None]})

    def who(self, crop):
        face = cv2.resize(crop, (150, 150)).astype(np.float32)
        face = (face - np.float32([122.782, 117.001, 104.298])) / 256
        return self.identity.run(["emb"], {"input": face.transpose(2, 0, 1)[None]})[0]


class Ears:
    """Speech each 32 ms; whose voice for each second and a half of speech."""

    def __init__(self):
        self.speech = load("silero_vad_16k_op15.onnx")
        self.voice = load("campp_q8.onnx")
        self.state = np.zeros((2, 1, 128), np.float32)
        self.context = np.zeros(64, np.float32)
        self.rest = np.zeros(0, np.float32)
        self.gathered = []
        self.window = np.hanning(400) ** 0.85
        self.taps = np.sinc((np.arange(49) - 24) / 3) / 3 * np.hamming(49)
        self.triangles = triangles()

    def hear(self, samples):
        wide = samples.astype(np.float32)
        narrow = np.convolve(wide, self.taps, "same")[::3].astype(np.float32)
        sound = np.concatenate([self.rest, narrow])
        whole = len(sound) // 512 * 512
        self.rest = sound[whole:]
        for frame in sound[:whole].reshape(-1, 512):
            given = np.concatenate([self.context, frame / 32768])[None]
            self.context = given[0, -64:]
            inputs = {"input": given, "state": self.state, "sr": np.array(16000, np.int64)}
            likely, self.state = self.speech.run(None, inputs)
            if likely[0, 0] >= 0.5:
                self.gathered.append(frame)
            if len(self.gathered) == 47:
                self.who(np.concatenate(self.gathered))
                self.gathered = []

    def who(self, piece):
        starts = range(0, len(piece) - 399, 160)
        frames = np.stack([piece[start : start + 400] for start in starts])
        frames = frames - frames.mean(axis=1, keepdims=True)
        frames[:, 1:] -= 0.97 * frames[:, :-1]
        power = np.abs(np.fft.rfft(frames * self.window, 512)[:, :256]) ** 2
        features = np.log(np.maximum(power @ self.triangles.T, 1.2e-7))
        features -= features.mean(axis=0)
        return self.voice.run(["emb"], {"feats": features[None].astype(np.float32)})[0]


def triangles():
    mel = lambda hz: 1127 * np.log1p(np.asarray(hz) / 700)
    edges = np.linspace(mel(20), mel(8000), 82)
    places = mel(np.arange(256) * 31.25)
    rising = (places - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - places) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(np.minimum(rising, falling), 0)


def main():
    cv2.setNumThreads(1)
    eyes, ears = Eyes(), Ears()
    sound = np.fromfile(FOLDER / f"{EXAM}.pcm", np.int16)
    before, began, slow = time.process_time(), time.monotonic(), ([], [])
    for second in range(SECONDS):
        raw = np.fromfile(FOLDER / f"{second}.i420", np.uint8).reshape(HEIGHT * 3 // 2, WIDTH)
        asked, ran = time.monotonic(), time.process_time()
        eyes.look(second, raw)
        slow[0].append((time.monotonic() - asked) * 1000)
        slow[1].append((time.process_time() - ran) * 1000)
        ears.hear(sound[second * 48000 : (second + 1) * 48000])
        time.sleep(max(0, second + 1 - (time.monotonic() - began)))
    spent = (time.process_time() - before) * 1000 / SECONDS
    # Not by getrusage, whose figure takes in the process that started this one.
    status = Path("/proc/self/status").read_text()
    memory = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    clock, busy = np.percentile(slow[0], 95), np.percentile(slow[1], 95)
    print(f"{spent:.2f} {memory:.2f} {clock:.2f} {busy:.2f}")


main()
