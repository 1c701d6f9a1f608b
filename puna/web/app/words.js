/** What the page says, in the browser's language until the person chooses another. */
const WORDS = {
  en: {
    talk: "Talk", models: "Models", newChat: "New chat", search: "Search chats", send: "Send", stop: "Stop",
    again: "Regenerate", copy: "Copy", copied: "Copied", model: "Model", system: "System prompt",
    temperature: "Temperature", settings: "Settings", message: "Message", thinking: "Thinking",
    thought: "Thought for", rename: "Rename", remove: "Delete", you: "You", load: "Load", unload: "Unload",
    loaded: "loaded", pull: "Pull", cancel: "Cancel", pullName: "Name of a model, such as qwen3:0.6b",
    left: "left", copyTo: "Copy to which name?", renameTo: "New name of the chat",
    sureModel: "Delete this model?", sureChat: "Delete this chat?", none: "No models yet. Pull one by its name.",
    greet: "What is on your mind?", private: "Chats are kept in this browser only.",
    gone: "The server cannot be reached. Your chat is kept; try again.", ended: "The answer broke off.",
    full: "This browser keeps no more: the chat is lost when you leave.", language: "中文", first: "first token", chats: "Chats",
    compare: "Compare", compareWhich: "Two or three models, asked one after another",
    pin: "Pin", saveAs: "Save as Markdown", exportAll: "Export", importChats: "Import", noChats: "no chats of this page are in it",
    attach: "Attach files", tooLarge: "larger than 20 MB", notText: "neither a picture, a sound nor text",
    blind: "does not see pictures.", deaf: "does not hear.", couldTake: "These do:", noneCould: "No installed model does.",
    wantsKey: "This server asks for a key", signIn: "Sign in", signOut: "Sign out",
  },
  zh: {
    talk: "对话", models: "模型", newChat: "新对话", search: "搜索对话", send: "发送", stop: "停止",
    again: "重新生成", copy: "复制", copied: "已复制", model: "模型", system: "系统提示",
    temperature: "温度", settings: "设置", message: "消息", thinking: "思考中",
    thought: "思考用时", rename: "重命名", remove: "删除", you: "你", load: "加载", unload: "卸载",
    loaded: "已加载", pull: "拉取", cancel: "取消", pullName: "模型名称,例如 qwen3:0.6b",
    left: "剩余", copyTo: "复制为哪个名称?", renameTo: "对话的新名称",
    sureModel: "删除这个模型?", sureChat: "删除这个对话?", none: "还没有模型。请按名称拉取一个。",
    greet: "想聊些什么?", private: "对话只保存在此浏览器中。",
    gone: "无法连接服务器。对话已保留,请重试。", ended: "回答中断了。",
    full: "浏览器空间已满:离开后对话会丢失。", language: "English", first: "首个词元", chats: "对话列表",
    compare: "比较", compareWhich: "两到三个模型,依次提问",
    pin: "置顶", saveAs: "存为 Markdown", exportAll: "导出", importChats: "导入", noChats: "其中没有本页面的对话",
    attach: "添加文件", tooLarge: "超过 20 MB", notText: "不是图片、声音或文本",
    blind: "看不了图片。", deaf: "听不了声音。", couldTake: "这些模型可以:", noneCould: "没有已安装的模型可以。",
    wantsKey: "此服务器需要密钥", signIn: "登录", signOut: "退出登录",
  },
};

/** @returns {"en" | "zh"} */
export const language = () =>
  localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** @param {"en" | "zh"} chosen */
export const speak = (chosen) => {
  localStorage.setItem("language", chosen);
  document.documentElement.lang = chosen;
};

/** @param {keyof WORDS.en} key */
export const say = (key) => WORDS[language()][key];
