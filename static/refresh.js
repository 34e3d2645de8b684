// Keeps the numbers of a page new: what lies in [data-refresh] is fetched again every so
// many seconds and put in its place. Not while the page is hidden, nor while somebody is
// inside with the keyboard or has selected something there. Without this script the page
// is as it was when it was loaded.

async function renewed(place) {
  const answer = await fetch(location.href, { redirect: "error" });
  if (!answer.ok) {
    throw new Error(`status ${answer.status}`);
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.querySelector(`[data-refresh="${place.dataset.refresh}"]`);
}

function isInUse(place) {
  const selection = getSelection();
  const isSelected = !selection.isCollapsed && place.contains(selection.anchorNode);
  return document.hidden || isSelected || place.contains(document.activeElement);
}

async function refresh(place) {
  if (!isInUse(place)) {
    try {
      const fresh = await renewed(place);
      if (fresh && !isInUse(place)) {
        place.replaceChildren(...fresh.childNodes);
      }
      place.classList.remove("is-old");
    } catch {
      place.classList.add("is-old"); // the style sheet says what that means
    }
  }
  setTimeout(refresh, place.dataset.refresh * 1000, place);
}

for (const place of document.querySelectorAll("[data-refresh]")) {
  setTimeout(refresh, place.dataset.refresh * 1000, place);
}
