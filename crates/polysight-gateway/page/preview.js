// Small previews of pictures and videos, as JPEG data URIs; and the size of the original in pixels.

const LONGEST_SIDE = 768;
const QUALITY = 0.8;
const TIMEOUT = 5000; // ms

function loaded(node, events, source) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("late")), TIMEOUT);
    const settle = (act) => () => {
      clearTimeout(late);
      act();
    };
    node.addEventListener(events, settle(resolve), { once: true });
    node.addEventListener("error", settle(reject), { once: true });
    if (source) node.src = source;
  });
}

function scaled(node, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  // JPEG has no transparency: without this it would be black.
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(node, 0, 0, canvas.width, canvas.height);
  return { preview: canvas.toDataURL("image/jpeg", QUALITY), width, height };
}

async function ofPicture(source) {
  const picture = new Image();
  await loaded(picture, "load", source);
  return scaled(picture, picture.naturalWidth, picture.naturalHeight);
}

async function ofVideo(source) {
  const video = document.createElement("video");
  video.muted = true;
  await loaded(video, "loadeddata", source);
  const seeking = loaded(video, "seeked");
  // The very first frame of a film is often black.
  video.currentTime = Math.min(1, (video.duration || 0) / 2);
  await seeking;
  return scaled(video, video.videoWidth, video.videoHeight);
}

/** The preview of a file; nothing where the browser cannot decode it, which says nothing about the models. */
export async function previewOf(file, kind) {
  const source = URL.createObjectURL(file);
  try {
    return await (kind === "video" ? ofVideo(source) : ofPicture(source));
  } catch {
    return {};
  } finally {
    URL.revokeObjectURL(source);
  }
}
