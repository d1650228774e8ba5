/* A camera for tests: loaded before libc, it answers for one device node as Video4Linux would.
 *
 * CAM_NODE   the node (default /dev/video7)       CAM_SIZE  WIDTHxHEIGHT (default 640x480)
 * CAM_FPS    pictures a second (default 30)       CAM_LUMA  brightness of every picture (default 100)
 * CAM_FORMAT YUYV (default), NV12, YU12, UYVY, BGR3, MJPG or JPEG
 * CAM_FILE   raw pictures of that size and format, played round and round instead of an even one;
 *            for MJPG one JPEG, given again and again
 * CAM_TORN   with MJPG: every picture of this number is cut in half, as a busy bus does
 * CAM_FAIL   "STEP:ERRNO", STEP one of open, stream; the call fails with that number
 * CAM_END    "unplug:N" or "stall:N": after N pictures the camera is gone, or gives nothing more
 * CAM_BACK   with "unplug": the node answers again after this many milliseconds
 *
 * Buffers live in a memfd, so that the program's own mmap works on it. poll needs a readable file,
 * which a memfd is; pictures are paced in DQBUF.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <dlfcn.h>

enum { FILES_MAX = 64, BUFFERS_MAX = 8 };

struct camera {
    int used, fd, buffers, queued[BUFFERS_MAX], head, tail;
    struct timespec due;
};

static struct camera open_files[FILES_MAX];
static unsigned pictures;
static struct timespec gone_at;
static int is_gone;

static const char *text(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static int number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

static void size(unsigned *width, unsigned *height) {
    if (sscanf(text("CAM_SIZE", "640x480"), "%ux%u", width, height) != 2) *width = 640, *height = 480;
}

static unsigned pixel_format(void) {
    const char *name = text("CAM_FORMAT", "YUYV");
    if (strcmp(name, "NV12") == 0) return V4L2_PIX_FMT_NV12;
    if (strcmp(name, "YU12") == 0) return V4L2_PIX_FMT_YUV420;
    if (strcmp(name, "UYVY") == 0) return V4L2_PIX_FMT_UYVY;
    if (strcmp(name, "BGR3") == 0) return V4L2_PIX_FMT_BGR24;
    if (strcmp(name, "JPEG") == 0) return V4L2_PIX_FMT_JPEG;
    return strcmp(name, "MJPG") == 0 ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
}

static int is_jpeg(void) { return pixel_format() == V4L2_PIX_FMT_MJPEG || pixel_format() == V4L2_PIX_FMT_JPEG; }

static int is_planar(void) { return pixel_format() == V4L2_PIX_FMT_NV12 || pixel_format() == V4L2_PIX_FMT_YUV420; }

/* The most that a picture may have; one in MJPG has fewer. */
static size_t picture_bytes(void) {
    unsigned w, h;
    size(&w, &h);
    if (pixel_format() == V4L2_PIX_FMT_BGR24) return (size_t)w * h * 3;
    return is_planar() ? (size_t)w * h * 3 / 2 : (size_t)w * h * 2;
}

static int film(uint8_t *row, size_t bytes) {
    static FILE *file;
    const char *name = getenv("CAM_FILE");
    if (!name || (!file && !(file = fopen(name, "rb")))) return 0;
    if (fread(row, 1, bytes, file) == bytes) return 1;
    rewind(file);
    return fread(row, 1, bytes, file) == bytes;
}

/* Puts a picture into `row`, and returns how many bytes it has; zero where there is none. */
static size_t picture(uint8_t *row) {
    size_t bytes = picture_bytes();
    uint8_t luma = (uint8_t)number("CAM_LUMA", 100);
    if (is_jpeg()) {
        FILE *file = fopen(text("CAM_FILE", ""), "rb");
        if (!file) return 0;
        size_t read = fread(row, 1, bytes, file);
        fclose(file);
        int torn = number("CAM_TORN", 0);
        return torn && pictures % (unsigned)torn == (unsigned)torn - 1 ? read / 2 : read;
    }
    if (film(row, bytes)) return bytes;
    if (pixel_format() == V4L2_PIX_FMT_BGR24)
        memset(row, luma, bytes);
    else if (is_planar()) {
        memset(row, luma, bytes * 2 / 3);
        memset(row + bytes * 2 / 3, 128, bytes / 3);
    } else {
        int first = pixel_format() == V4L2_PIX_FMT_UYVY;
        for (size_t i = 0; i < bytes; i += 2) row[i + first] = luma, row[i + !first] = 128;
    }
    return bytes;
}

static size_t buffer_bytes(void) { return (picture_bytes() + 4095) & ~(size_t)4095; }

/* The kernel, past every wrapper of ours. */
static long kernel(long n, long a, long b, long c, long d, long e, long f) {
    typedef long (*call)(long, ...);
    static call next;
    if (!next) next = (call)dlsym(RTLD_NEXT, "syscall");
    return next(n, a, b, c, d, e, f);
}

static int refuse(int code) {
    errno = code;
    return -1;
}

/* The number that CAM_FAIL gives for a step, or zero. */
static int planned_failure(const char *step) {
    const char *plan = text("CAM_FAIL", "");
    size_t length = strlen(step);
    return strncmp(plan, step, length) == 0 && plan[length] == ':' ? atoi(plan + length + 1) : 0;
}

static int end_after(const char *kind) {
    const char *plan = text("CAM_END", "");
    size_t length = strlen(kind);
    return strncmp(plan, kind, length) == 0 && plan[length] == ':' ? atoi(plan + length + 1) : -1;
}

/* Whether the camera is unplugged at this moment; it may come back. */
static int unplugged(void) {
    if (!is_gone) return 0;
    int back_ms = number("CAM_BACK", -1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long since = (now.tv_sec - gone_at.tv_sec) * 1000 + (now.tv_nsec - gone_at.tv_nsec) / 1000000;
    return back_ms < 0 || since < back_ms;
}

static struct camera *camera_of(int fd) {
    for (int i = 0; i < FILES_MAX; i++)
        if (open_files[i].used && open_files[i].fd == fd) return &open_files[i];
    return NULL;
}

static int open_camera(void) {
    int code = planned_failure("open");
    if (code) return refuse(code);
    if (unplugged()) return refuse(ENOENT);
    for (int i = 0; i < FILES_MAX; i++)
        if (!open_files[i].used) {
            int fd = memfd_create("camera", MFD_CLOEXEC);
            open_files[i] = (struct camera){.used = 1, .fd = fd};
            return fd;
        }
    return refuse(EMFILE);
}

static int open_any(const char *path, int flags, mode_t mode) {
    if (path && strcmp(path, text("CAM_NODE", "/dev/video7")) == 0) return open_camera();
    return (int)kernel(SYS_openat, AT_FDCWD, (long)path, flags, mode, 0, 0);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_any(path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
    struct camera *camera = camera_of(fd);
    if (camera) camera->used = 0;
    return (int)kernel(SYS_close, fd, 0, 0, 0, 0, 0);
}

static int capabilities(struct v4l2_capability *c) {
    memset(c, 0, sizeof *c);
    strcpy((char *)c->driver, "testcam");
    strcpy((char *)c->card, "Test camera");
    strcpy((char *)c->bus_info, "usb-test-1");
    c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    c->capabilities = c->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int format(struct v4l2_format *f) {
    if (f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return refuse(EINVAL);
    struct v4l2_pix_format *p = &f->fmt.pix;
    memset(p, 0, sizeof *p);
    size(&p->width, &p->height);
    p->pixelformat = pixel_format();
    p->field = V4L2_FIELD_NONE;
    p->bytesperline = is_jpeg()                               ? 0
                      : is_planar()                           ? p->width
                      : p->pixelformat == V4L2_PIX_FMT_BGR24 ? p->width * 3
                                                              : p->width * 2;
    p->sizeimage = (unsigned)picture_bytes();
    return 0;
}

static int request_buffers(struct camera *camera, struct v4l2_requestbuffers *r) {
    if (r->memory != V4L2_MEMORY_MMAP) return refuse(EINVAL);
    int code = planned_failure("stream");
    if (code) return refuse(code);
    if (r->count > BUFFERS_MAX) r->count = BUFFERS_MAX;
    camera->buffers = (int)r->count;
    camera->head = camera->tail = 0;
    return ftruncate(camera->fd, (off_t)(r->count * buffer_bytes()));
}

static int give_picture(struct camera *camera, struct v4l2_buffer *b) {
    if (unplugged()) return refuse(ENODEV);
    if (camera->head == camera->tail) return refuse(EAGAIN);
    if (end_after("unplug") >= 0 && (int)pictures >= end_after("unplug") && !is_gone) {
        is_gone = 1;
        clock_gettime(CLOCK_MONOTONIC, &gone_at);
        return refuse(ENODEV);
    }
    if (end_after("stall") >= 0 && (int)pictures >= end_after("stall"))
        for (;;) pause();
    int index = camera->queued[camera->head++ % BUFFERS_MAX];
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &camera->due, NULL);
    camera->due.tv_nsec += 1000000000L / number("CAM_FPS", 30);
    if (camera->due.tv_nsec >= 1000000000L) camera->due.tv_nsec -= 1000000000L, camera->due.tv_sec++;
    uint8_t *row = malloc(picture_bytes());
    if (!row) return refuse(ENOMEM);
    size_t bytes = picture(row);
    ssize_t done = pwrite(camera->fd, row, bytes, (off_t)(index * buffer_bytes()));
    free(row);
    if (!bytes || done != (ssize_t)bytes) return refuse(EIO);
    memset(b, 0, sizeof *b);
    b->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    b->memory = V4L2_MEMORY_MMAP;
    b->index = (unsigned)index;
    b->bytesused = (unsigned)bytes;
    b->length = (unsigned)picture_bytes();
    b->m.offset = (unsigned)(index * buffer_bytes());
    b->sequence = pictures++;
    b->timestamp.tv_sec = camera->due.tv_sec;
    b->timestamp.tv_usec = camera->due.tv_nsec / 1000;
    b->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    return 0;
}

static int control(struct camera *camera, unsigned long request, void *p) {
    unsigned w, h;
    size(&w, &h);
    switch (request) {
    case VIDIOC_QUERYCAP:
        return capabilities(p);
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *f = p;
        if (f->index || f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return refuse(EINVAL);
        f->pixelformat = pixel_format();
        strcpy((char *)f->description, text("CAM_FORMAT", "YUYV"));
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *f = p;
        if (f->index || f->pixel_format != pixel_format()) return refuse(EINVAL);
        f->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        f->discrete.width = w;
        f->discrete.height = h;
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *f = p;
        if (f->index) return refuse(EINVAL);
        f->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        f->discrete.numerator = 1;
        f->discrete.denominator = (unsigned)number("CAM_FPS", 30);
        return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
        return format(p);
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *s = p;
        s->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        s->parm.capture.timeperframe.numerator = 1;
        s->parm.capture.timeperframe.denominator = (unsigned)number("CAM_FPS", 30);
        return 0;
    }
    case VIDIOC_REQBUFS:
        return request_buffers(camera, p);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *b = p;
        if ((int)b->index >= camera->buffers) return refuse(EINVAL);
        b->length = (unsigned)picture_bytes();
        b->m.offset = (unsigned)(b->index * buffer_bytes());
        b->flags = 0;
        return 0;
    }
    case VIDIOC_QBUF:
        camera->queued[camera->tail++ % BUFFERS_MAX] = (int)((struct v4l2_buffer *)p)->index;
        return 0;
    case VIDIOC_DQBUF:
        return give_picture(camera, p);
    case VIDIOC_STREAMON:
        return clock_gettime(CLOCK_MONOTONIC, &camera->due);
    case VIDIOC_STREAMOFF:
        camera->head = camera->tail = 0;
        return 0;
    case VIDIOC_QUERYCTRL:
    case VIDIOC_QUERY_EXT_CTRL:
        return refuse(EINVAL);
    default:
        return refuse(ENOTTY);
    }
}

static long answer(int fd, unsigned long request, void *p) {
    struct camera *camera = camera_of(fd);
    if (!camera) return kernel(SYS_ioctl, fd, (long)request, (long)p, 0, 0, 0);
    return control(camera, request, p);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *p = va_arg(rest, void *);
    va_end(rest);
    return (int)answer(fd, request, p);
}

/* The crate v4l calls the kernel by number. */
long syscall(long n, ...) {
    va_list rest;
    va_start(rest, n);
    long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
    long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
    va_end(rest);
    if (n == SYS_ioctl) return answer((int)a, (unsigned long)b, (void *)c);
    return kernel(n, a, b, c, d, e, f);
}
