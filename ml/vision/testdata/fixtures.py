# Writes the images of this directory and expected.npz, what OpenCV and Pillow make of them:
#
#   pip install numpy==1.26.4 opencv-python-headless==4.10.0.84 Pillow==10.4.0
#   python fixtures.py
import io
import os

import cv2
import numpy as np
from PIL import Image, ImageOps

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(1)


def path(name):
    return os.path.join(here, name)


def scene(w, h):
    """Smooth colours, an edge and some noise."""
    y, x = np.mgrid[0:h, 0:w]
    img = np.stack([255 * x / w, 255 * y / h, 128 + 100 * np.sin(x / 5) * np.cos(y / 4)], -1)
    img[h // 3 : h // 2, w // 4 : w // 2] = [230, 20, 60]
    return np.clip(img + rng.normal(0, 1, img.shape), 0, 255).astype(np.uint8)


expected = {}
picture = Image.fromarray(scene(33, 23))
picture.save(path("picture.png"), optimize=True)
rgb = np.asarray(picture)

# Resize, down and up, also along one axis only.
for w, h in [(20, 13), (33, 9), (5, 40)]:
    name = f"{w}x{h}"
    expected["linear_" + name] = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_LINEAR)
    expected["nearest_" + name] = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_NEAREST)
    expected["antialias_" + name] = np.asarray(picture.resize((w, h), Image.BILINEAR))
    expected["nearestexact_" + name] = np.asarray(picture.resize((w, h), Image.NEAREST))

# JPEGs: every sampling of chroma, grey, progressive, CMYK.
def jpeg(name, img, **options):
    img.save(path(name), "JPEG", **options)
    data = np.fromfile(path(name), np.uint8)
    expected[name] = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


jpeg("444.jpg", picture, quality=90, subsampling="4:4:4")
jpeg("422.jpg", picture, quality=90, subsampling="4:2:2")
jpeg("420.jpg", picture, quality=90, subsampling="4:2:0")
jpeg("grey.jpg", picture.convert("L"), quality=90)
jpeg("progressive.jpg", picture, quality=80, progressive=True, subsampling="4:2:0")
picture.convert("CMYK").save(path("cmyk.jpg"), "JPEG", quality=90)
expected["cmyk.jpg"] = np.asarray(Image.open(path("cmyk.jpg")).convert("RGB"))
ok, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x121111])
data.tofile(path("440.jpg"))
expected["440.jpg"] = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

# PNGs: transparency, a palette, grey, 16 bits.
small = picture.resize((12, 9))
alpha = small.copy()
alpha.putalpha(Image.fromarray(rng.integers(1, 255, (9, 12), dtype=np.uint8)))
for name, img in {"alpha.png": alpha, "palette.png": small.quantize(16), "grey.png": small.convert("L")}.items():
    img.save(path(name), optimize=True)
    expected[name] = np.asarray(Image.open(path(name)).convert("RGB"))
cv2.imwrite(path("deep.png"), rng.integers(0, 65536, (9, 12, 3)).astype(np.uint16))
expected["deep.png"] = cv2.cvtColor(cv2.imread(path("deep.png"), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

# EXIF: the same file in all orientations; turned.jpg has that of 1, the tests write the others.
exif = Image.Exif()
exif[0x0112] = 1
corner = picture.crop((0, 0, 11, 7))
corner.save(path("turned.jpg"), "JPEG", quality=95, subsampling="4:4:4", exif=exif)
Image.open(path("turned.jpg")).convert("RGB").save(path("turned.png"), exif=exif)
for orientation in range(1, 9):
    exif[0x0112] = orientation
    img = Image.open(path("turned.jpg"))
    img.info["exif"] = exif.tobytes()
    img.getexif()[0x0112] = orientation
    expected[f"turned_{orientation}"] = np.asarray(ImageOps.exif_transpose(img))


# Letterbox as Ultralytics' LetterBox computes it, crop as torchvision's Resize and CenterCrop.
def letterbox(img, w, h):
    r = min(w / img.shape[1], h / img.shape[0])
    new = round(img.shape[1] * r), round(img.shape[0] * r)
    dw, dh = (w - new[0]) / 2, (h - new[1]) / 2
    img = cv2.resize(img, new, interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(img, round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1), cv2.BORDER_CONSTANT, value=(114, 114, 114))


def crop(img, shorter, size):
    w, h = img.size
    new = (shorter, int(shorter * h / w)) if w <= h else (int(shorter * w / h), shorter)
    img = img.resize(new, Image.BILINEAR)
    left, top = int(round((new[0] - size) / 2.0)), int(round((new[1] - size) / 2.0))
    return np.asarray(img.crop((left, top, left + size, top + size)))


expected["letterbox_32x32"] = letterbox(rgb, 32, 32)
expected["letterbox_48x25"] = letterbox(rgb, 48, 25)
expected["crop_24_21"] = crop(picture, 24, 21)
mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
expected["imagenet"] = ((expected["crop_24_21"].astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)
expected["luma"] = np.asarray(picture.convert("L"))
# Stored in a fixed order, so that the file is the same again.
np.savez_compressed(path("expected.npz"), **{k: expected[k] for k in sorted(expected)})
